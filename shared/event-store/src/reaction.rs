//! Rules of the form "on this event, issue that command".

use kernel::{Actor, Code, Fact, Refusal};

use crate::{
    Answer, Standpoint, StoreError,
    intake::{Event, Intake},
    log,
    unit::{Act, Stop, Unit, unreadable},
};

/// One rule. It looks at the fact alone; what it issues is decided like any
/// other command, and its refusal is recorded.
#[derive(Clone, Copy)]
pub struct Reaction {
    /// The rule's name, as a refused reaction quotes it.
    pub name: &'static str,
    /// What the rule issues on a fact, seen from where the office stands.
    pub on: fn(fact: &Fact, here: &Standpoint) -> Option<Act>,
}

/// The longest chain of reactions to one command.
const LONGEST_CHAIN: u32 = 8;

impl Unit<'_> {
    /// Lets the rules see what happened, until nothing new happens.
    pub(crate) async fn react(&mut self) -> Result<(), Stop> {
        loop {
            let unseen = std::mem::take(&mut self.top().unseen);
            if unseen.is_empty() {
                return Ok(());
            }
            for (fact, depth) in unseen {
                for rule in self.setting.reactions.iter() {
                    let Some(act) = (rule.on)(&fact, &self.here()) else { continue };
                    let outcome = self.issue(rule.name, &fact, depth + 1, &act).await?;
                    self.settle(rule.name, outcome).await?;
                }
            }
        }
    }

    /// Keeps what came of a rule's command, or records that it was refused.
    async fn settle(&mut self, rule: &str, outcome: Result<(), Refusal>) -> Result<(), Stop> {
        match outcome {
            Ok(()) => {
                self.accept();
                Ok(())
            }
            Err(refusal) => self.record_refused(rule, &refusal).await,
        }
    }

    /// Whether what lies on top of the stack came of the same fact before: the same kind
    /// of event on the same stream. A rule that is run again must not ask again for what
    /// has been overtaken since.
    pub(crate) async fn caused_before(&mut self) -> Result<bool, Stop> {
        let Some((top, below)) = self.stack.split_last() else { return Ok(false) };
        let same = |old: &Fact, new: &Fact| {
            old.stream == new.stream && old.kind == new.kind && old.causation == new.causation
        };
        let news: Vec<Fact> = top.entries.iter().map(|entry| entry.fact.clone()).collect();
        let mut before = below.iter().flat_map(|delta| &delta.entries);
        if before.any(|old| news.iter().any(|new| same(&old.fact, new))) {
            return Ok(true);
        }
        for new in news {
            for bytes in log::stream(self.conn, &new.stream).await? {
                if same(&Fact::of_entry(&bytes).map_err(unreadable)?.0, &new) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Runs what a rule issues on a fact. What comes of it lies on top of the stack, for
    /// the caller to accept or discard; of a refused command nothing does.
    pub(crate) async fn issue(
        &mut self,
        rule: &str,
        fact: &Fact,
        depth: u32,
        act: &Act,
    ) -> Result<Result<(), Refusal>, Stop> {
        self.actor = Actor::system();
        self.act_date = None;
        self.cause = Some(fact.at.clone());
        self.depth = depth;
        self.push();
        let outcome: Result<Answer, Stop> = if depth > LONGEST_CHAIN {
            Err(Refusal::new(Code::Internal).detail("chain too long").into())
        } else {
            act(self).await
        };
        match outcome {
            Ok(_) => Ok(Ok(())),
            // What is not folded again yet is no reason against it: all comes once more.
            Err(Stop::Refused(refusal)) if refusal.code != Code::Rebuilding => {
                self.discard();
                Ok(Err(refusal))
            }
            // What one rule can't do must not stop what others sent.
            Err(Stop::Failed(StoreError::Unfit(why))) => {
                tracing::error!(rule, why, "a reaction failed");
                self.discard();
                Ok(Err(Code::Internal.into()))
            }
            Err(failed) => Err(failed),
        }
    }

    /// Records that the command on the current cause was refused.
    pub(crate) async fn record_refused(
        &mut self,
        rule: &str,
        refusal: &Refusal,
    ) -> Result<(), Stop> {
        let epoch = self.epoch();
        let event = Event::ReactionRefused {
            rule: rule.to_owned(),
            cause: self.cause.clone().unwrap_or_else(|| kernel::EntryRef {
                origin: self.setting.office.clone(),
                epoch,
                sequence: 0,
            }),
            code: refusal.code.slug().to_owned(),
        };
        let office = self.setting.office.to_string();
        self.execute::<Intake>(&office, event).await.map(drop)
    }
}
