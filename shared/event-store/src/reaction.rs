//! Rules of the form "on this event, issue that command".

use kernel::{Actor, Code, Fact, Refusal};

use crate::{
    Answer, Setting, StoreError,
    intake::{Event, Intake},
    unit::{Act, Stop, Unit},
};

/// One rule. It looks at the fact alone; what it issues is decided like any
/// other command, and its refusal is recorded.
#[derive(Clone, Copy)]
pub struct Reaction {
    /// The rule's name, as a refused reaction quotes it.
    pub name: &'static str,
    /// What the rule issues on a fact, seen from an office.
    pub on: fn(fact: &Fact, setting: &Setting) -> Option<Act>,
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
                    let Some(act) = (rule.on)(&fact, self.setting) else { continue };
                    if let Some(refusal) = self.issue(rule.name, &fact, depth + 1, &act).await? {
                        self.record_refused(rule.name, &refusal).await?;
                    }
                }
            }
        }
    }

    /// Runs what a rule issues on a fact; the refusal, if it is refused.
    pub(crate) async fn issue(
        &mut self,
        rule: &str,
        fact: &Fact,
        depth: u32,
        act: &Act,
    ) -> Result<Option<Refusal>, Stop> {
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
            Ok(_) => {
                self.accept();
                Ok(None)
            }
            // What is not folded again yet is no reason against it: all comes once more.
            Err(Stop::Refused(refusal)) if refusal.code != Code::Rebuilding => {
                self.discard();
                Ok(Some(refusal))
            }
            // What one rule can't do must not stop what others sent.
            Err(Stop::Failed(StoreError::Unfit(why))) => {
                tracing::error!(rule, why, "a reaction failed");
                self.discard();
                Ok(Some(Code::Internal.into()))
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
        let event = Event::ReactionRefused {
            rule: rule.to_owned(),
            cause: self.cause.clone().unwrap_or_else(|| kernel::EntryRef {
                origin: self.setting.office.clone(),
                epoch: self.setting.epoch,
                sequence: 0,
            }),
            code: refusal.code.slug().to_owned(),
        };
        let office = self.setting.office.to_string();
        self.execute::<Intake>(&office, event).await.map(drop)
    }
}
