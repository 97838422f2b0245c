//! 线索移交 Custody: how a clue goes from one holder to the next, and is lost by nobody.
//!
//! ```text
//! holder     Held ─offer─▶ Offered ─acceptance noted─▶ Released
//!              ▲ └──────────withdraw, return noted──────┘(back to Held)
//! receiver   Delivered ─▶ Accepted ─release noted─▶ Held
//!                    └──▶ Returned        └─withdrawal noted─▶ Void
//! ```
//! Who holds may act; who offered or accepted may not. The release is the one step that
//! moves custody: from it on the receiver answers for the clue, also before the word of
//! it has come. What a reader would get wrong: an acceptance moves nothing by itself. The
//! offer that it quotes may have been withdrawn meanwhile; then it is noted by nobody.

mod hold;

use kernel::{
    Code, OfficeId, Refusal,
    sealed::SealedPart,
    sign::{Hash, PublicKey, Signature},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use hold::{Answer, At, Hold};

use crate::{clue, clue_case, post::Organ};

/// An organ of an office: who holds, offers and receives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The office.
    pub office: OfficeId,
    /// The organ within it.
    pub organ: Organ,
}

/// Which offer an answer is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferRef {
    /// The holder's stream, with its family.
    pub stream: String,
    /// Which offer of that stream, from 1.
    pub turn: u32,
    /// The leaf hash of its entry.
    pub entry: Hash,
}

/// A person's own word on a content (issue of a personal key that only the person's
/// sign-in unlocks).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonSignature {
    /// The person's id.
    pub by: String,
    /// The key.
    pub key: PublicKey,
    /// Ed25519 over [`statement`].
    pub signature: Signature,
}

/// What a person signs: the act, the stream it is about, and the content's hash; 32 bytes,
/// so that a device that signs digests only will do.
pub fn statement(act: &str, clue: &str, content: &Hash) -> Hash {
    let length = |text: &str| (text.len() as u64).to_be_bytes();
    Hash::of(&[
        b"liandong statement v1",
        &length(act),
        act.as_bytes(),
        &length(clue),
        clue.as_bytes(),
        &content.0,
    ])
}

impl PersonSignature {
    /// Refuses a signature that is not this person's over this statement.
    pub fn check(
        &self,
        person: &str,
        act: &str,
        clue: &str,
        content: &Hash,
    ) -> Result<(), Refusal> {
        let statement = statement(act, clue, content);
        let good = self.by == person && self.key.verifies(&statement.0, &self.signature.0);
        if good { Ok(()) } else { Err(Code::SignatureWrong.into()) }
    }
}

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The clue: the id of its first holder's stream.
    pub clue: String,
    /// Which hand-over of the clue it would be, from 1.
    pub number: u32,
    /// Who offers.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// The hash of the content in the clear.
    pub content: Hash,
    /// The content, sealed anew for the receiver.
    pub part: SealedPart,
    /// The hash of the grant that opens it for the receiving organ.
    pub grant: Hash,
    /// Who signed the content: the two of the clue report.
    pub signatures: Vec<PersonSignature>,
}

impl Offer {
    /// What goes with it: ciphertext and grant.
    pub fn papers(&self) -> Vec<Hash> {
        vec![self.part.hash, self.grant]
    }
}

/// Why a clue goes back to who offered it; codes, so that nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnReason {
    /// 不属本机关管理权限
    NotOurAuthority,
    /// 材料不全
    Incomplete,
    /// 内容与签字不符
    ContentDiffers,
    /// 重复移交
    Duplicate,
    /// 应当回避
    Recused,
}

/// What happens to custody at a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It is offered.
    Offered {
        /// Which offer of this stream, from 1.
        turn: u32,
        /// What and to whom.
        offer: Box<Offer>,
        /// What goes with it, as the hub reads it to let the receiver fetch.
        papers: Vec<Hash>,
    },
    /// The offer counts no more.
    OfferWithdrawn {
        /// Which.
        turn: u32,
        /// To whom it was.
        to: Party,
    },
    /// The receiver gave it back.
    OfferReturned {
        /// Which.
        turn: u32,
        /// The receiver's entry.
        basis: Hash,
        /// Why.
        reason: ReturnReason,
    },
    /// Custody is with the receiver from here on.
    Released {
        /// Which.
        turn: u32,
        /// The clue.
        clue: String,
        /// Which hand-over it was.
        number: u32,
        /// Who answers for it now.
        to: Party,
        /// The acceptance that was quoted.
        basis: Hash,
    },
}

impl Event {
    /// The event's name in its type.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offered { .. } => "offered",
            Self::OfferWithdrawn { .. } => "offer-withdrawn",
            Self::OfferReturned { .. } => "offer-returned",
            Self::Released { .. } => "released",
        }
    }

    /// Whom it is told.
    pub fn addressees(&self) -> Vec<OfficeId> {
        match self {
            Self::Offered { offer, .. } => vec![offer.to.office.clone()],
            Self::OfferWithdrawn { to, .. } | Self::Released { to, .. } => vec![to.office.clone()],
            Self::OfferReturned { .. } => Vec::new(),
        }
    }
}

/// The stream at a receiver in which an offer is answered: one offer, one answer.
pub fn case_id(receiver: &OfficeId, stream: &str, turn: u32) -> String {
    let name = Hash::of(&[b"clue case", stream.as_bytes(), &turn.to_be_bytes()]).to_string();
    format!("{receiver}-{}", &name[..16])
}

/// What one office is to do on a word about custody: the same rule for its own words and
/// for others', so that the way between two organs of one house is the way between two.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Of the stream of the first holder.
    Clue(String, clue::Command),
    /// Of the stream of a later one.
    Case(String, clue_case::Command),
}

/// On what a holder said: the receiver hears of releases and withdrawals.
pub fn on_holder(event: &Event, stream: &str, here: &OfficeId) -> Option<Ask> {
    let (turn, to, ask) = match event {
        Event::OfferWithdrawn { turn, to } => (*turn, to, clue_case::Command::NoteWithdrawal),
        Event::Released { turn, to, .. } => (*turn, to, clue_case::Command::NoteRelease),
        Event::Offered { .. } | Event::OfferReturned { .. } => return None,
    };
    (to.office == *here).then(|| Ask::Case(case_id(here, stream, turn), ask))
}

/// On what a receiver answered: the holder notes it. `basis` is the answer's entry, `by`
/// its origin.
pub fn on_receiver(
    event: &clue_case::Event,
    by: &OfficeId,
    basis: Hash,
    here: &OfficeId,
) -> Option<Ask> {
    let (offer, returned, receipt) = match event {
        clue_case::Event::Accepted { offer, content, receipt, .. } => {
            (offer, None, Some((*content, receipt.clone())))
        }
        clue_case::Event::Returned { offer, reason, .. } => (offer, Some(*reason), None),
        _ => return None,
    };
    let (family, id) = offer.stream.split_once('/')?;
    if !id.starts_with(here.as_str()) {
        return None;
    }
    let answer = Answer { turn: offer.turn, by: by.clone(), basis, returned, receipt };
    match family {
        "clue" => Some(Ask::Clue(id.to_owned(), clue::Command::NoteAnswer(answer))),
        "clue-case" => Some(Ask::Case(id.to_owned(), clue_case::Command::NoteAnswer(answer))),
        _ => None,
    }
}
