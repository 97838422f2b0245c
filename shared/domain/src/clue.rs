//! 问题线索 Clue, at its first holder: drafted, judged, signed by two, sealed, handed over.
//!
//! ```text
//! Drafted ─▶ Discussed ─▶ FirstSigned ─▶ DualSigned ─▶ Sealed ─▶ (custody) ─▶ Released
//!    ▲           ▲────revise────┴─────────────┘                         result noted │
//!    └─revise────┘     Dropped before sealing                        Closed ◀────────┘
//! ```
//! `model.md` 3.12. What the clue says stands in sealed parts; here stand its hash, who
//! signed that hash, and what routing and counting need. Any change of the content voids
//! both signatures. After the release the team has nothing of it; the office keeps states
//! and dates.

mod said;
mod terms;

use kernel::{Aggregate, Code, Context, OfficeId, Refusal, sign::Hash};

pub use said::{Command, Event, Ways};
pub use terms::{Authority, Brief, Outcome, Quality, RankBand, Source, State};

use crate::{
    another,
    custody::{self, At, Hold, Offer, Party, PersonSignature, ReturnReason},
    envelope::number,
    post::{Organ, Role},
};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Clue {
    state: State,
    brief: Option<Brief>,
    content: Hash,
    discussed: bool,
    signatures: Vec<PersonSignature>,
    route: Option<Party>,
    hold: Hold,
    reopening: Option<String>,
    result: Option<Hash>,
}

impl Aggregate for Clue {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "clue";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Drafted { .. } => "drafted",
            Event::Revised { .. } => "revised",
            Event::Discussed { .. } => "discussed",
            Event::FirstSigned { .. } => "first-signed",
            Event::DualSigned { .. } => "dual-signed",
            Event::Dropped { .. } => "dropped",
            Event::Sealed { .. } => "sealed",
            Event::Rerouted { .. } => "rerouted",
            Event::HandedOnPaper { .. } => "handed-on-paper",
            Event::ResultNoted { .. } => "result-noted",
            Event::Closed { .. } => "closed",
            Event::ReopeningAsked { .. } => "reopening-asked",
            Event::Reopened { .. } => "reopened",
            Event::Custody(event) => event.name(),
        }
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::Custody(event) => event.addressees(),
            Event::Reopened { holder: Some((party, _)), .. } => vec![party.office.clone()],
            _ => Vec::new(),
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Closed, Dropped, FedBack, OnPaper, Released};
        let by = context.actor.person.clone();
        if self.state == Absent && !matches!(command, Command::Draft { .. }) {
            return Err(Code::ClueAbsent.into());
        }
        match command {
            Command::Draft { brief, content, part } if self.state == Absent => {
                Ok(vec![Event::Drafted { brief, content, part, by }])
            }
            Command::Draft { content, .. } if content == self.content => Ok(vec![]),
            Command::Draft { .. } => Err(Code::WrongState.into()),
            Command::Revise { content, .. } if content == self.content => Ok(vec![]),
            Command::Revise { content, part } => {
                self.before_sealing()?;
                Ok(vec![Event::Revised { content, part, by }])
            }
            Command::Discuss { quality, with, content, part } => {
                self.discuss(with.iter().all(|other| *other == by), context)?;
                // The minutes are of what is signed, and go where it goes.
                let minuted = Event::Revised { content, part, by: by.clone() };
                Ok(vec![minuted, Event::Discussed { quality, with, by }])
            }
            Command::Sign { clue, signature } => self.sign(&clue, signature, context),
            Command::Drop if self.state == Dropped => Ok(vec![]),
            Command::Drop => {
                self.before_sealing()?;
                Ok(vec![Event::Dropped { by }])
            }
            Command::Seal(ways) => self.seal(&ways, context),
            Command::Reroute { authority, ways } => self.reroute(authority, &ways, context),
            Command::Offer(offer) => self.offer(offer, false),
            Command::OfferAtHome(offer) => self.offer(offer, true),
            Command::Withdraw => Ok(custodial(self.hold.withdraw()?)),
            Command::NoteAnswer(answer) => Ok(custodial(self.hold.note(answer)?)),
            Command::HandOnPaper { slip, receipt } => self.hand_on_paper(slip, receipt),
            Command::NoteResult { basis, .. } if self.result == Some(basis) => Ok(vec![]),
            Command::NoteResult { basis, outcome } => match (self.state, &self.brief) {
                (Released | FedBack | OnPaper, Some(brief)) => {
                    Ok(vec![Event::ResultNoted { basis, outcome, level: brief.level }])
                }
                _ => Err(Code::WrongState.into()),
            },
            Command::PaperResult(outcome) => match (self.state, &self.brief) {
                (OnPaper, Some(brief)) => {
                    let (basis, level) = (Hash::of(&[b"on paper"]), brief.level);
                    Ok(vec![Event::ResultNoted { basis, outcome, level }])
                }
                _ => Err(Code::WrongState.into()),
            },
            Command::Close if self.state == Closed => Ok(vec![]),
            Command::Close => match (self.state, &self.brief) {
                (FedBack, Some(brief)) => Ok(vec![Event::Closed { level: brief.level, by }]),
                _ => Err(Code::WrongState.into()),
            },
            Command::Reopen => self.reopen(context),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Drafted { brief, content, .. } => {
                self.brief = Some(brief.clone());
                (self.content, self.state) = (*content, State::Drafted);
            }
            Event::Revised { content, .. } => {
                self.content = *content;
                self.signatures.clear();
                self.hold.put_back();
                self.state = if self.discussed { State::Discussed } else { State::Drafted };
            }
            Event::Discussed { .. } => (self.discussed, self.state) = (true, State::Discussed),
            Event::FirstSigned { signature } => {
                self.signatures = vec![signature.clone()];
                self.state = State::FirstSigned;
            }
            Event::DualSigned { signature } => {
                self.signatures.push(signature.clone());
                self.state = State::DualSigned;
            }
            Event::Dropped { .. } => self.state = State::Dropped,
            Event::Sealed { route, .. } => {
                self.route.clone_from(route);
                self.state = State::Sealed;
                self.hold.take();
            }
            Event::Rerouted { route, authority, .. } => {
                self.route.clone_from(route);
                if let Some(brief) = &mut self.brief {
                    brief.authority = authority.clone();
                }
            }
            Event::HandedOnPaper { .. } => self.state = State::OnPaper,
            Event::ResultNoted { basis, .. } => {
                (self.result, self.state) = (Some(*basis), State::FedBack);
            }
            Event::Closed { .. } => self.state = State::Closed,
            Event::ReopeningAsked { by } => self.reopening = Some(by.clone()),
            Event::Reopened { holder, .. } => {
                self.reopening = None;
                // What went on paper is with whoever has the paper.
                self.state = if holder.is_some() { State::Released } else { State::OnPaper };
            }
            Event::Custody(event) => {
                self.hold.evolve(event);
                if self.hold.at() == At::Released {
                    self.state = State::Released;
                }
            }
        }
    }
}

/// Whether somebody acts in one of these roles.
fn acts_as(context: &Context, roles: &[&str]) -> bool {
    Role::of(&context.actor.role).is_some_and(|role| roles.contains(&role.name))
}

/// Where a clue goes: to the organ that has authority, at its home if it has one.
fn way(authority: &Authority, of_the_chain: bool, office: OfficeId, ways: &Ways) -> Option<Party> {
    let parent = ways.parent.clone();
    let at = |office: OfficeId, organ| {
        let party = Party { office, organ };
        let home = ways.homes.get(&party).cloned();
        Some(Party { office: home.unwrap_or(party.office), organ })
    };
    match authority {
        _ if of_the_chain => parent.and_then(|up| at(up, Organ::DisciplineOrgan)),
        Authority::Own => at(office, Organ::DisciplineOrgan),
        Authority::Upper => parent.and_then(|up| at(up, Organ::DisciplineOrgan)),
        Authority::Lower(below) => at(below.clone(), Organ::DisciplineOrgan),
        Authority::OrganizationDepartment => at(office, Organ::OrganizationDepartment),
        Authority::Outside => None,
    }
}

fn custodial(events: Vec<custody::Event>) -> Vec<Event> {
    events.into_iter().map(Event::Custody).collect()
}

/// The words of the two signatures.
pub const SIGNS: &str = "clue.sign";

impl Clue {
    /// The hash of the content that stands now.
    pub const fn content(&self) -> Hash {
        self.content
    }

    /// Who signed that content.
    pub fn signatures(&self) -> &[PersonSignature] {
        &self.signatures
    }

    /// What may be said of it.
    pub const fn brief(&self) -> Option<&Brief> {
        self.brief.as_ref()
    }

    /// Where it goes.
    pub const fn route(&self) -> Option<&Party> {
        self.route.as_ref()
    }

    fn before_sealing(&self) -> Result<(), Refusal> {
        use State::{Discussed, Drafted, DualSigned, FirstSigned};
        match self.state {
            Drafted | Discussed | FirstSigned | DualSigned => Ok(()),
            // What came back is mended, or taken back.
            State::Sealed if self.hold.at() == At::Held && self.hold.returned().is_some() => Ok(()),
            _ => Err(Code::WrongState.into()),
        }
    }

    /// It is discussed once, and nobody judges alone.
    fn discuss(&self, alone: bool, context: &Context) -> Result<(), Refusal> {
        self.before_sealing()?;
        if self.discussed {
            return Err(Code::WrongState.into());
        }
        if alone { another(&context.actor.person, context) } else { Ok(()) }
    }

    /// Two different persons sign the very content that stands.
    fn sign(
        &self,
        clue: &str,
        signature: PersonSignature,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        signature.check(&context.actor.person, SIGNS, clue, &self.content)?;
        match self.state {
            // 组长先签, then the non-resident deputy or the member who handled it.
            State::Discussed if !acts_as(context, &["TL", "TD"]) => Err(Code::NotAllowed.into()),
            State::Discussed => Ok(vec![Event::FirstSigned { signature }]),
            State::FirstSigned if !acts_as(context, &["NRD", "TM"]) => {
                if let Some(first) = self.signatures.first() {
                    another(&first.by, context)?;
                }
                Err(Code::NotAllowed.into())
            }
            State::FirstSigned => {
                if let Some(first) = self.signatures.first() {
                    another(&first.by, context)?;
                }
                Ok(vec![Event::DualSigned { signature }])
            }
            State::DualSigned if self.signatures.iter().any(|s| s.by == signature.by) => Ok(vec![]),
            State::Drafted => Err(Code::NotDiscussed.into()),
            _ => Err(Code::WrongState.into()),
        }
    }

    /// Where it goes follows from who has authority over the object; what is said of the
    /// chain itself skips that circle (`model.md` 2.4, rule 3).
    fn seal(&self, ways: &Ways, context: &Context) -> Result<Vec<Event>, Refusal> {
        let Some(brief) = self.brief.as_ref().filter(|_| self.state == State::DualSigned) else {
            return if self.state == State::Sealed {
                Ok(vec![])
            } else {
                Err(Code::WrongState.into())
            };
        };
        let route = way(&brief.authority, brief.of_the_chain, context.office.clone(), ways);
        let stays = route.as_ref().is_some_and(|route| route.office == context.office);
        if ways.object_reads && stays {
            return Err(Code::ObjectReads.into());
        }
        let by = context.actor.person.clone();
        for signature in &self.signatures {
            another(&signature.by, context)?;
        }
        Ok(vec![Event::Sealed { route, by }])
    }

    /// Who has authority may turn out to be another organ: when the one it was offered to
    /// says so.
    fn reroute(
        &self,
        authority: Authority,
        ways: &Ways,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        let Some(brief) = self.brief.as_ref().filter(|_| self.state == State::Sealed) else {
            return Err(Code::WrongState.into());
        };
        self.hold.held()?;
        if brief.authority == authority {
            return Ok(vec![]);
        }
        let elsewhere = [ReturnReason::NotOurAuthority, ReturnReason::Recused];
        if !self.hold.returned().is_some_and(|reason| elsewhere.contains(&reason)) {
            return Err(Code::WrongState.into());
        }
        let route = way(&authority, brief.of_the_chain, context.office.clone(), ways);
        if ways.object_reads && route.as_ref().is_some_and(|route| route.office == context.office) {
            return Err(Code::ObjectReads.into());
        }
        Ok(vec![Event::Rerouted { authority, route, by: context.actor.person.clone() }])
    }

    fn offer(&self, offer: Box<Offer>, at_home: bool) -> Result<Vec<Event>, Refusal> {
        let leads = |route: &Party| *route == offer.to || at_home && route.organ == offer.to.organ;
        if self.state != State::Sealed || !self.route.as_ref().is_some_and(leads) {
            return Err(Code::WrongState.into());
        }
        if offer.content != self.content || offer.signatures != self.signatures {
            return Err(Code::ContentDiffers.into());
        }
        Ok(vec![Event::Custody(self.hold.offer(offer)?)])
    }

    fn hand_on_paper(&self, slip: String, receipt: String) -> Result<Vec<Event>, Refusal> {
        if self.state != State::Sealed {
            return Err(Code::WrongState.into());
        }
        self.hold.held()?;
        number("slip", &slip)?;
        number("receipt", &receipt)?;
        Ok(vec![Event::HandedOnPaper { slip, receipt }])
    }

    fn reopen(&self, context: &Context) -> Result<Vec<Event>, Refusal> {
        let by = context.actor.person.clone();
        match (self.state, &self.brief, &self.reopening) {
            (State::Closed, Some(_), None) => Ok(vec![Event::ReopeningAsked { by }]),
            (State::Closed, Some(brief), Some(first)) => {
                another(first, context)?;
                let holder = self.hold.released_to();
                Ok(vec![Event::Reopened { level: brief.level, by, holder }])
            }
            _ => Err(Code::WrongState.into()),
        }
    }
}

#[cfg(test)]
mod tests;
