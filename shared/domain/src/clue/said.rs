//! What may be asked of a clue, and what can happen to it.

use std::collections::BTreeMap;

use kernel::{OfficeId, sealed::SealedPart, sign::Hash};
use serde::{Deserialize, Serialize};

use super::{Authority, Brief, Outcome, Quality};
use crate::{
    Level,
    custody::{self, Answer, Offer, Party, PersonSignature},
};

/// What an office knows of where its clues go.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// The parent, where the upper tier's authority leads.
    pub parent: Option<OfficeId>,
    /// Organs that are offices of their own.
    pub homes: BTreeMap<Party, OfficeId>,
    /// Whether the object could read it at an organ of this very office.
    pub object_reads: bool,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 起草线索
    Draft {
        /// What may be said of it.
        brief: Brief,
        /// The hash of the content in the clear.
        content: Hash,
        /// The content, sealed.
        part: Box<SealedPart>,
    },
    /// 修改线索
    Revise {
        /// The hash of the new content.
        content: Hash,
        /// The new content, sealed.
        part: Box<SealedPart>,
    },
    /// 室组办会商
    Discuss {
        /// How far it can be checked.
        quality: Quality,
        /// The persons with whom.
        with: Vec<String>,
        /// The hash of the content with its minutes.
        content: Hash,
        /// That content, sealed.
        part: Box<SealedPart>,
    },
    /// 组长签字, then 会签
    Sign {
        /// The clue's own id.
        clue: String,
        /// Over the content that stands.
        signature: PersonSignature,
    },
    /// 封存前撤回
    Drop,
    /// 密封
    Seal(Ways),
    /// 变更去向: the organ it was offered to has no authority
    Reroute {
        /// Who has it.
        authority: Authority,
        /// Where clues go from here.
        ways: Ways,
    },
    /// 移送
    Offer(Box<Offer>),
    /// 移送至机关单设的单位: the home that the city has named for the organ it goes to.
    OfferAtHome(Box<Offer>),
    /// 撤回移送
    Withdraw,
    /// The receiver's answer came.
    NoteAnswer(Answer),
    /// 纸质移交
    HandOnPaper {
        /// The hand-over list's number.
        slip: String,
        /// The number of the receipt that came back.
        receipt: String,
    },
    /// The handling organ's result came.
    NoteResult {
        /// Its entry.
        basis: Hash,
        /// What came of it.
        outcome: Outcome,
    },
    /// 纸质移交的结果
    PaperResult(Outcome),
    /// 办结
    Close,
    /// 重新办理, asked by one and confirmed by another
    Reopen,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It was drafted.
    Drafted {
        /// What may be said of it.
        brief: Brief,
        /// The hash of the content in the clear.
        content: Hash,
        /// The content, sealed.
        part: Box<SealedPart>,
        /// Who drafted it.
        by: String,
    },
    /// The content changed; no signature counts any more.
    Revised {
        /// The hash of the new content.
        content: Hash,
        /// The new content, sealed.
        part: Box<SealedPart>,
        /// Who changed it.
        by: String,
    },
    /// It was judged in common.
    Discussed {
        /// How far it can be checked.
        quality: Quality,
        /// The persons with whom.
        with: Vec<String>,
        /// Who recorded it.
        by: String,
    },
    /// One has signed.
    FirstSigned {
        /// Who, by which key.
        signature: PersonSignature,
    },
    /// Two have signed the same content.
    DualSigned {
        /// The second.
        signature: PersonSignature,
    },
    /// It goes no further.
    Dropped {
        /// Who said so.
        by: String,
    },
    /// It is sealed, and where it goes is decided.
    Sealed {
        /// Where; nowhere in this system if it goes on paper.
        route: Option<Party>,
        /// Who sealed it.
        by: String,
    },
    /// Another organ has authority: it goes there.
    Rerouted {
        /// Who has it.
        authority: Authority,
        /// Where; nowhere in this system if it goes on paper.
        route: Option<Party>,
        /// Who said so.
        by: String,
    },
    /// It went on paper.
    HandedOnPaper {
        /// The hand-over list's number.
        slip: String,
        /// The receipt's number.
        receipt: String,
    },
    /// What came of it is known here.
    ResultNoted {
        /// The handling organ's entry.
        basis: Hash,
        /// What came of it.
        outcome: Outcome,
        /// Of what level.
        level: Level,
    },
    /// It is closed.
    Closed {
        /// Of what level.
        level: Level,
        /// Who closed it.
        by: String,
    },
    /// One asks for it to be taken up again.
    ReopeningAsked {
        /// Who.
        by: String,
    },
    /// Two want it taken up again.
    Reopened {
        /// Of what level.
        level: Level,
        /// The second.
        by: String,
        /// Who holds it, and by which offer.
        holder: Option<(Party, u32)>,
    },
    /// What happens to its custody.
    #[serde(untagged)]
    Custody(custody::Event),
}
