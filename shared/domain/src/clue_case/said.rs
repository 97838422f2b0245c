//! The words of a clue case, what may be asked of it, and what can happen to it.

use kernel::{Day, OfficeId, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clue::{Brief, Outcome},
    custody::{self, Answer, Offer, OfferRef, Party, PersonSignature, ReturnReason},
};

/// The four ways (W22 art. 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// 谈话函询
    TalkOrInquiry,
    /// 初步核实
    PreliminaryVerification,
    /// 暂存待查
    HeldForReview,
    /// 予以了结
    Concluded,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 已送达
    Delivered,
    /// 已受理,待移交方确认
    Accepted,
    /// 已退回
    Returned,
    /// 移交已撤回
    Void,
    /// 待处置
    Held,
    /// 处置意见待批
    Proposed,
    /// 办理中
    Handling,
    /// 暂存待查
    Waiting,
    /// 予以了结
    Concluded,
    /// 已有结果
    Resulted,
    /// 结果已反馈
    FedBack,
    /// 已转交其他机关
    Released,
}

/// An offer that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coming {
    /// Which offer.
    pub offer: OfferRef,
    /// The clue.
    pub clue: String,
    /// Which hand-over of it.
    pub number: u32,
    /// Who offers.
    pub from: Party,
    /// The organ of this office to which it is offered.
    pub to: Party,
    /// The hash of its content.
    pub content: Hash,
    /// Who signed it.
    pub signatures: Vec<PersonSignature>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// An offer came, with all its bytes.
    NoteDelivery(Box<Coming>),
    /// 受理
    Accept {
        /// What its content says of itself.
        brief: Brief,
        /// The registrar's own word that this content is here.
        receipt: PersonSignature,
    },
    /// 退回
    Return(ReturnReason),
    /// The offerer released it.
    NoteRelease,
    /// The offerer withdrew it.
    NoteWithdrawal,
    /// 分办
    Assign(String),
    /// 提出处置意见
    Propose(Disposition),
    /// 批准处置意见
    Approve {
        /// When a held item is looked at again.
        review: Option<Day>,
    },
    /// 办理进展
    Progress,
    /// 发函询问, by the number of the letter
    SendInquiry(String),
    /// 收到回复
    NoteReply,
    /// 暂存待查复核
    ReviewHeld {
        /// When it is looked at again.
        next: Day,
    },
    /// 办理结果
    Result(Outcome),
    /// 反馈结果
    FeedBack,
    /// The first holder took it up again.
    NoteReopening,
    /// 转交其他机关
    Offer(Box<Offer>),
    /// 撤回转交
    Withdraw,
    /// The next receiver's answer came.
    NoteAnswer(Answer),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// These exact bytes are here.
    Delivered {
        /// What came.
        coming: Box<Coming>,
    },
    /// The registry takes it; custody comes with the release.
    Accepted {
        /// Which offer.
        offer: OfferRef,
        /// The clue.
        clue: String,
        /// The hash of the content that was found here.
        content: Hash,
        /// The registrar's own word.
        receipt: PersonSignature,
        /// Who offered.
        from: OfficeId,
    },
    /// What the register says of it.
    Registered {
        /// As its content says.
        brief: Brief,
    },
    /// It goes back.
    Returned {
        /// Which offer.
        offer: OfferRef,
        /// Why.
        reason: ReturnReason,
        /// Who offered.
        from: OfficeId,
    },
    /// The offer was withdrawn first.
    Voided,
    /// Custody is here.
    CustodyTaken,
    /// Somebody of the handling office has it.
    Assigned {
        /// Who.
        person: String,
    },
    /// A way is proposed.
    DispositionProposed {
        /// Which.
        disposition: Disposition,
        /// By whom.
        by: String,
    },
    /// The way is approved.
    DispositionApproved {
        /// Which.
        disposition: Disposition,
        /// By whom.
        by: String,
        /// When a held item is looked at again.
        review: Option<Day>,
    },
    /// It goes on.
    ProgressRecorded {
        /// Who says so.
        by: String,
    },
    /// A letter went to whom the clue is about (谈话函询).
    InquirySent {
        /// The letter's number.
        letter: String,
        /// Who sent it.
        by: String,
    },
    /// The reply to it came.
    InquiryReplied {
        /// Who says so.
        by: String,
    },
    /// A held item was looked at.
    HeldClueReviewed {
        /// When again.
        next: Day,
    },
    /// What came of it.
    ResultRecorded {
        /// What.
        outcome: Outcome,
    },
    /// The first holder is told.
    ResultFedBack {
        /// The clue.
        clue: String,
        /// What came of it.
        outcome: Outcome,
        /// Whom.
        to: OfficeId,
    },
    /// The first holder took it up again.
    Reopened,
    /// The same, said on to whom it went from here.
    ReopeningPassedOn {
        /// To whom.
        to: Party,
        /// By which offer of this stream.
        turn: u32,
    },
    /// What happens to its custody.
    #[serde(untagged)]
    Custody(custody::Event),
}
