//! The rows themselves (`model.md` 2.3; the three administrators: `model.md` 2.1).

use kernel::Class::{K1, K2, K3, K4, K6, K7, K8, K9, K10, K11, K12, K14};

use super::{
    READ, Row,
    Subject::{self, Accounts, Of, Offices, Operations},
};

/// Whoever holds a post.
pub(super) const EVERYBODY: &[&str] = &["*"];
const TEAM: &[&str] = &["TL", "TD", "TM"];
const LEADERS: &[&str] = &["TL", "TD"];

const fn read(subject: Subject, roles: &'static [&'static str]) -> Row {
    act(READ, subject, roles)
}

const fn own_work(subject: Subject, roles: &'static [&'static str]) -> Row {
    Row { narrow: true, ..read(subject, roles) }
}

const fn consulted(subject: Subject, roles: &'static [&'static str]) -> Row {
    Row { with_reason: true, ..read(subject, roles) }
}

const fn act(action: &'static str, subject: Subject, roles: &'static [&'static str]) -> Row {
    let (narrow, with_reason, on_work, of_organ, of_cadres) = (false, false, false, false, false);
    Row { action, subject, roles, narrow, with_reason, on_work, of_organ, of_cadres }
}

/// Only as long as the matter is the work of the round.
const fn while_theirs(row: Row) -> Row {
    Row { on_work: true, ..row }
}

/// Only what is the organ's own.
const fn organs(row: Row) -> Row {
    Row { of_organ: true, ..row }
}

/// Only what concerns cadres under the office's own authority.
const fn of_cadres(row: Row) -> Row {
    Row { of_cadres: true, ..row }
}

/// Every row (`model.md` 2.3; the three administrators: `model.md` 2.1).
pub static TABLE: &[Row] = &[
    // The running of the office: administrators, and what everybody must know of the link.
    read(Offices, EVERYBODY),
    act("office.invite", Offices, &["SYS"]),
    act("office.renew", Offices, &["SYS"]),
    act("office.move", Offices, &["SYS"]),
    act("office.house-organ", Offices, &["SYS"]),
    act("office.change-key", Offices, &["SYS"]),
    act("office.confirm-key", Offices, &["SYS"]),
    act("office.consent", Offices, &["SYS"]),
    act("token-key.turn", Offices, &["SYS"]),
    read(Operations, &["SYS", "AUDADM"]),
    act("views.refold", Operations, &["SYS"]),
    act("demo-clock.move", Operations, &["SYS"]),
    read(Accounts, &["SYS", "SECADM", "AUDADM"]),
    act("person.register", Accounts, &["SYS"]),
    act("person.authorise", Accounts, &["SECADM"]),
    act("person.end-authorisation", Accounts, &["SECADM"]),
    // A lost password and a lost second factor are given back by two persons.
    act("person.link", Accounts, &["SYS"]),
    act("person.clear-second-factor", Accounts, &["SECADM"]),
    act("person.end-sessions", Accounts, &["SECADM"]),
    // A certificate is a second factor: who binds it makes no links.
    act("certificate.bind", Accounts, &["SECADM"]),
    act("certificate.end", Accounts, &["SECADM"]),
    // An identity stands for the password: who binds it handles no factors.
    act("person.bind-identity", Accounts, &["SYS"]),
    read(Of(K14), &["AUDADM"]),
    // Recusals: the offices that form teams; the leading group hears of them.
    read(Of(K4), &["SEC", "LG", "PLAN", "ORG"]),
    act("recusal.report", Of(K4), &["PLAN", "ORG"]),
    act("recusal.judge", Of(K4), &["LG", "PLAN", "ORG"]),
    // The register is public.
    read(Of(K1), EVERYBODY),
    act("division.import", Of(K1), &["PLAN", "SYS"]),
    act("deadline-policy.decide", Of(K1), &["LG"]),
    // Plans, targets, dates and counts.
    read(Of(K2), &["SEC", "LG", "PLAN", "FILE", "RECT", "TL", "TD", "LO", "NDI_SUP", "ORG", "AUD"]),
    // The matrix gives members the next round (K3); what it was, they know once it is plan.
    own_work(Of(K2), &["TM", "NRD", "PL", "UNIT"]),
    act("organization.register", Of(K2), &["PLAN"]),
    act("organization.change", Of(K2), &["PLAN"]),
    act("target-list.issue", Of(K2), &["PLAN"]),
    act("annual-plan.draft", Of(K2), &["PLAN"]),
    act("annual-plan.place", Of(K2), &["PLAN"]),
    act("annual-plan.remove", Of(K2), &["PLAN"]),
    act("annual-plan.excuse", Of(K2), &["LG"]),
    act("annual-plan.adopt", Of(K2), &["LG"]),
    act("annual-plan.approve", Of(K2), &["SEC"]),
    act("annual-plan.insert", Of(K2), &["LG"]),
    act("annual-plan.close", Of(K2), &["PLAN"]),
    act("round.withdraw", Of(K2), LEADERS),
    act("round.hear", Of(K2), &["SEC", "LG"]),
    act("round.archive", Of(K2), &["PLAN"]),
    // The next round, until it is announced.
    read(Of(K3), &["SEC", "LG", "PLAN", "TL", "TD"]),
    own_work(Of(K3), &["TM", "LO", "NRD"]),
    act("round.plan", Of(K3), &["PLAN"]),
    act("round.tasks", Of(K3), &["PLAN"]),
    act("round.authorise", Of(K3), &["SEC"]),
    act("round.enter", Of(K3), LEADERS),
    // Drafts: the team's; who is consulted on them says on what.
    read(Of(K7), TEAM),
    read(Of(K7), &["LO"]),
    consulted(Of(K7), &["NRD", "AUD"]),
    act("finding.draft", Of(K7), TEAM),
    act("finding.co-sign", Of(K7), TEAM),
    act("finding.drop", Of(K7), LEADERS),
    // The list until it is fed back: inspected people know nothing of it.
    read(Of(K8), &["SEC", "LG", "PLAN", "RECT", "TL", "TD", "LO"]),
    act("round.list", Of(K8), LEADERS),
    act("round.no-finding", Of(K8), LEADERS),
    // Feedback and rectification: internal to the parties.
    read(
        Of(K9),
        &[
            "SEC", "LG", "PLAN", "RECT", "TL", "TD", "LO", "NDI_REG", "NDI_OFF", "NDI_SUP", "ORG",
            "AUD", "PL", "UNIT", "COM", "DISC", "BR",
        ],
    ),
    act("round.feedback", Of(K9), &["PLAN", "TL"]),
    act("finding.close-out", Of(K9), &["RECT"]),
    act("finding.reopen", Of(K9), &["RECT"]),
    act("rectification.measures", Of(K9), &["UNIT", "COM", "BR"]),
    act("rectification.complete", Of(K9), &["UNIT", "COM", "BR"]),
    // What must not enter: only that an envelope came and went, in the smallest circle.
    read(Of(K10), &["CLUE", "NDI_REG", "DISC"]),
    act("envelope.receive", Of(K10), &["CLUE", "NDI_REG", "DISC"]),
    act("envelope.hand-on", Of(K10), &["CLUE", "NDI_REG", "DISC"]),
    // Clues, before they are handed over: the team's work. The custodian has states and
    // dates, seals and hands over, and opens nothing.
    while_theirs(read(Of(K10), TEAM)),
    while_theirs(Row { narrow: true, ..consulted(Of(K10), &["NRD"]) }),
    while_theirs(act("clue.draft", Of(K10), TEAM)),
    while_theirs(act("clue.revise", Of(K10), TEAM)),
    while_theirs(act("clue.open", Of(K10), &["TL", "TD", "TM", "NRD"])),
    while_theirs(act("clue.discuss", Of(K10), LEADERS)),
    while_theirs(act("clue.sign", Of(K10), &["TL", "TD", "TM", "NRD"])),
    while_theirs(act("clue.drop", Of(K10), LEADERS)),
    organs(act("clue.seal", Of(K10), &["CLUE"])),
    organs(act("clue.reroute", Of(K10), &["CLUE"])),
    organs(act("clue.offer", Of(K10), &["CLUE"])),
    organs(act("clue.withdraw", Of(K10), &["CLUE"])),
    organs(act("clue.paper", Of(K10), &["CLUE"])),
    organs(act("clue.result", Of(K10), &["CLUE"])),
    organs(act("clue.close", Of(K10), &["CLUE"])),
    organs(act("clue.reopen", Of(K10), &["CLUE"])),
    // Clues at the organ that received them: the registry's, and whose it was assigned to.
    organs(read(Of(K10), &["NDI_OFF", "ORG"])),
    organs(act("clue-case.open", Of(K10), &["NDI_REG", "NDI_OFF", "ORG"])),
    organs(act("clue-case.accept", Of(K10), &["NDI_REG", "ORG"])),
    organs(act("clue-case.return", Of(K10), &["NDI_REG", "ORG"])),
    organs(act("clue-case.assign", Of(K10), &["NDI_REG"])),
    organs(act("clue-case.propose", Of(K10), &["NDI_OFF", "ORG"])),
    organs(act("clue-case.approve", Of(K10), &["NDI_REG", "ORG"])),
    organs(act("clue-case.progress", Of(K10), &["NDI_OFF", "ORG"])),
    organs(act("clue-case.review", Of(K10), &["NDI_REG", "NDI_OFF", "ORG"])),
    organs(act("clue-case.result", Of(K10), &["NDI_OFF", "ORG"])),
    organs(act("clue-case.feed-back", Of(K10), &["NDI_REG", "ORG"])),
    organs(act("clue-case.offer", Of(K10), &["NDI_REG", "ORG"])),
    organs(act("clue-case.withdraw", Of(K10), &["NDI_REG", "ORG"])),
    organs(act("clue-case.inquire", Of(K10), &["NDI_OFF", "ORG"])),
    organs(act("clue-case.reply", Of(K10), &["NDI_OFF", "ORG"])),
    // The secretary: of cadres of own authority, and does nothing with them.
    of_cadres(read(Of(K10), &["SEC"])),
    of_cadres(act("clue.oversee", Of(K10), &["SEC"])),
    // Clue counts, as trends.
    read(Of(K11), &["SEC", "LG", "PLAN", "FILE", "RECT", "CLUE", "NDI_REG", "NDI_SUP"]),
    // Who sent a petition: what is on record of it, and nobody reads it back by this.
    read(Of(K6), &["TL", "CLUE"]),
    act("identity.seal", Of(K6), &["LO"]),
    act("identity.ask", Of(K6), &["TL", "CLUE"]),
    act("identity.open", Of(K6), &["TL", "CLUE"]),
    act("identity.ask-destruction", Of(K6), &["TL", "CLUE"]),
    act("identity.destroy", Of(K6), &["CLUE", "TL"]),
    // Personal signatures: who vouches for a key.
    act("signing-key.certify", Accounts, &["SECADM", "ORG", "PLAN"]),
    // Who names the officers of an escrow is not one of them.
    act("escrow.begin", Accounts, &["SECADM"]),
    // Filings: what is filed upward is read by whoever files it and by the desk that
    // receives it, as a copy, whatever it was made of.
    read(Of(K12), &["SEC", "LG", "PLAN", "FILE", "RECT", "COM"]),
    act("filing.expect", Of(K12), &["FILE", "COM"]),
    act("filing.items", Of(K12), &["FILE", "COM"]),
    act("filing.submit", Of(K12), &["FILE", "COM"]),
    act("filing-review.expect", Of(K12), &["FILE", "PLAN"]),
    act("filing-review.items", Of(K12), &["FILE"]),
    act("filing-review.return", Of(K12), &["FILE"]),
    act("filing-review.accept", Of(K12), &["FILE"]),
    act("history.share-round", Of(K12), &["PLAN"]),
    act("history.share-filing", Of(K12), &["FILE", "COM"]),
    act("paper.bring", Of(K12), &["FILE", "LO", "COM", "UNIT", "TL", "PLAN"]),
];
