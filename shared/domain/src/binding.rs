//! The binding table: how far each event type may travel, and who may issue it.
//!
//! No row, no publication. Rows are only ever added.

use kernel::{
    Root,
    binding::{Binding, Class, Rule},
    id::Tier,
};

const ALL: &[Tier] = &[Tier::City, Tier::District, Tier::Township];
const TEAMS: &[Tier] = &[Tier::City, Tier::District];
const CITY: &[Tier] = &[Tier::City];
const DISTRICTS: &[Tier] = &[Tier::District];
const BELOW: &[Tier] = &[Tier::District, Tier::Township];

const fn row(
    family: &'static str,
    name: &'static str,
    rule: Rule,
    class: Class,
    tiers: &'static [Tier],
) -> Binding {
    Binding { family, name, root: Root::Ev, rule, class, tiers }
}

/// Of a confidential family: its subjects stand apart, so that no broad filter finds them.
const fn confidential(
    family: &'static str,
    name: &'static str,
    rule: Rule,
    class: Class,
) -> Binding {
    Binding { root: Root::Cf, ..row(family, name, rule, class, TEAMS) }
}

/// Every event type.
pub static TABLE: &[Binding] = &[
    // The office's own record.
    row("intake", "received", Rule::Own, Class::K14, ALL),
    row("intake", "folded", Rule::Own, Class::K14, ALL),
    row("intake", "reaction-refused", Rule::Own, Class::K14, ALL),
    row("reading", "recorded", Rule::Own, Class::K14, ALL),
    row("demo-clock", "moved", Rule::Own, Class::K14, ALL),
    row("person", "registered", Rule::Own, Class::K4, ALL),
    row("person", "authorised", Rule::Own, Class::K4, ALL),
    row("person", "authorisation-ended", Rule::Own, Class::K4, ALL),
    row("person", "link-issued", Rule::Own, Class::K4, ALL),
    row("person", "link-spent", Rule::Own, Class::K4, ALL),
    row("person", "second-factor-set", Rule::Own, Class::K4, ALL),
    row("person", "second-factor-cleared", Rule::Own, Class::K4, ALL),
    row("person", "password-changed", Rule::Own, Class::K4, ALL),
    row("person", "identity-bound", Rule::Own, Class::K4, ALL),
    row("person", "identity-unbound", Rule::Own, Class::K4, ALL),
    row("token-key", "turned", Rule::Own, Class::K14, ALL),
    row("certificate", "bound", Rule::Own, Class::K4, ALL),
    row("certificate", "ended", Rule::Own, Class::K4, ALL),
    row("recusal", "declared", Rule::Own, Class::K4, TEAMS),
    row("recusal", "reported", Rule::Own, Class::K4, TEAMS),
    row("recusal", "opinion-given", Rule::Own, Class::K4, TEAMS),
    row("recusal", "upheld", Rule::Own, Class::K4, TEAMS),
    row("recusal", "dismissed", Rule::Own, Class::K4, TEAMS),
    row("session", "begun", Rule::Own, Class::K4, ALL),
    row("session", "ended", Rule::Own, Class::K4, ALL),
    // Deadline rules: a district's for its townships, the city's for every office. A rule
    // says nothing of any matter.
    row("deadline-policy", "decided", Rule::Down, Class::K1, DISTRICTS),
    row("deadline-policy", "decided-for-all", Rule::All, Class::K1, CITY),
    // The directory and the register: public codes and who is enrolled.
    row("directory", "founded", Rule::All, Class::K1, CITY),
    row("directory", "invited", Rule::Own, Class::K14, CITY),
    row("directory", "enrolled", Rule::All, Class::K1, CITY),
    row("directory", "turn-called", Rule::All, Class::K1, CITY),
    row("directory", "turned", Rule::All, Class::K1, CITY),
    row("directory", "move-called", Rule::All, Class::K1, CITY),
    row("directory", "moved", Rule::All, Class::K1, CITY),
    row("directory", "epoch-proposed", Rule::All, Class::K1, CITY),
    row("directory", "epoch-consented", Rule::All, Class::K1, CITY),
    row("directory", "epoch-opened", Rule::All, Class::K1, CITY),
    row("office", "key-offered", Rule::To, Class::K14, BELOW),
    row("office", "key-turned", Rule::To, Class::K14, BELOW),
    row("office", "moved", Rule::To, Class::K14, BELOW),
    row("office", "epoch-begun", Rule::Own, Class::K14, ALL),
    row("office", "epoch-consented", Rule::To, Class::K14, DISTRICTS),
    row("register", "divisions-imported", Rule::All, Class::K1, CITY),
    // Earlier entries for a late reader: only such as may travel in the clear are inside.
    row("history", "shared", Rule::To, Class::K12, ALL),
    row("organization", "registered", Rule::Own, Class::K2, TEAMS),
    row("organization", "changed", Rule::Own, Class::K2, TEAMS),
    row("target-list", "version-issued", Rule::Own, Class::K2, TEAMS),
    row("target-list", "targets-listed", Rule::Own, Class::K2, TEAMS),
    // The year's plan: what is planned and when goes up once it is approved; whom a round
    // inspects and who is in its teams stays.
    row("annual-plan", "drafted", Rule::Own, Class::K2, TEAMS),
    row("annual-plan", "round-placed", Rule::Own, Class::K2, TEAMS),
    row("annual-plan", "round-removed", Rule::Own, Class::K2, TEAMS),
    row("annual-plan", "targets-set", Rule::Own, Class::K3, TEAMS),
    row("annual-plan", "teams-set", Rule::Own, Class::K3, TEAMS),
    row("annual-plan", "conflict-excused", Rule::Own, Class::K3, TEAMS),
    row("annual-plan", "adopted", Rule::Own, Class::K2, TEAMS),
    row("annual-plan", "approved", Rule::Up, Class::K2, TEAMS),
    row("annual-plan", "round-inserted", Rule::Up, Class::K2, TEAMS),
    row("annual-plan", "closed", Rule::Up, Class::K2, TEAMS),
    // Rounds: secret until entry, then dates and counts go up.
    row("round", "planned", Rule::Own, Class::K3, TEAMS),
    row("round", "tasks-defined", Rule::Own, Class::K3, TEAMS),
    row("round", "authorised", Rule::Own, Class::K3, TEAMS),
    row("round", "entered", Rule::Up, Class::K2, TEAMS),
    row("round", "withdrawn", Rule::Up, Class::K2, TEAMS),
    row("round", "list-issued", Rule::Own, Class::K9, TEAMS),
    row("round", "no-finding-signed", Rule::Own, Class::K9, TEAMS),
    row("round", "no-finding-recorded", Rule::Own, Class::K9, TEAMS),
    row("round", "heard", Rule::Up, Class::K2, TEAMS),
    row("round", "feedback-delivered", Rule::Own, Class::K9, TEAMS),
    row("round", "fed-back", Rule::Up, Class::K2, TEAMS),
    row("round", "rectification-opened", Rule::Up, Class::K2, TEAMS),
    row("round", "archived", Rule::Up, Class::K2, TEAMS),
    // Findings: drafts stay; feedback goes to the unit and those concerned.
    row("finding", "drafted", Rule::Own, Class::K7, TEAMS),
    row("finding", "draft-sealed", Rule::Own, Class::K7, TEAMS),
    row("finding", "co-signed", Rule::Own, Class::K7, TEAMS),
    row("finding", "listed", Rule::Own, Class::K9, TEAMS),
    row("finding", "fed-back", Rule::To, Class::K9, TEAMS),
    row("finding", "rectified", Rule::Own, Class::K9, TEAMS),
    row("finding", "closed-out", Rule::To, Class::K9, TEAMS),
    row("finding", "reopened", Rule::To, Class::K9, TEAMS),
    row("finding", "dropped", Rule::Own, Class::K7, TEAMS),
    row("rectification", "opened", Rule::Own, Class::K9, ALL),
    row("rectification", "measure-planned", Rule::To, Class::K9, ALL),
    row("rectification", "completed", Rule::To, Class::K9, ALL),
    row("rectification", "reopened", Rule::Own, Class::K9, ALL),
    row("envelope", "received", Rule::Own, Class::K10, ALL),
    row("envelope", "handed-on", Rule::Own, Class::K10, ALL),
    // Keys: public halves for all who may offer; grants and secrets stand in no log.
    row("organ-key", "published", Rule::All, Class::K1, CITY),
    row("organ-home", "named", Rule::All, Class::K1, CITY),
    row("organ-key", "told", Rule::Up, Class::K1, DISTRICTS),
    row("ledger-key", "published", Rule::Own, Class::K1, ALL),
    row("scope-key", "granted", Rule::Own, Class::K14, ALL),
    row("scope-key", "destroyed", Rule::Own, Class::K14, ALL),
    row("signing-key", "made", Rule::Own, Class::K4, ALL),
    row("signing-key", "certified", Rule::Own, Class::K4, ALL),
    row("signing-key", "destroyed", Rule::Own, Class::K4, ALL),
    row("escrow", "begun", Rule::Own, Class::K4, ALL),
    row("escrow", "share-taken", Rule::Own, Class::K4, ALL),
    // Who sent a petition: sealed under a key that never leaves the office.
    row("identity", "sealed", Rule::Own, Class::K6, TEAMS),
    row("identity", "opening-asked", Rule::Own, Class::K6, TEAMS),
    row("identity", "opened", Rule::Own, Class::K6, TEAMS),
    row("identity", "destruction-asked", Rule::Own, Class::K6, TEAMS),
    row("identity", "destruction-approved", Rule::Own, Class::K6, TEAMS),
    row("identity", "destroyed", Rule::Own, Class::K6, TEAMS),
    // Clues: what they say stands in sealed parts; between holders go offers and answers.
    confidential("clue", "drafted", Rule::Own, Class::K10),
    confidential("clue", "revised", Rule::Own, Class::K10),
    confidential("clue", "discussed", Rule::Own, Class::K10),
    confidential("clue", "first-signed", Rule::Own, Class::K10),
    confidential("clue", "dual-signed", Rule::Own, Class::K10),
    confidential("clue", "dropped", Rule::Own, Class::K10),
    confidential("clue", "sealed", Rule::Own, Class::K10),
    confidential("clue", "rerouted", Rule::Own, Class::K10),
    confidential("clue", "handed-on-paper", Rule::Own, Class::K10),
    confidential("clue", "result-noted", Rule::Own, Class::K10),
    confidential("clue", "closed", Rule::Own, Class::K10),
    confidential("clue", "reopening-asked", Rule::Own, Class::K10),
    confidential("clue", "reopened", Rule::To, Class::K10),
    confidential("clue", "offered", Rule::To, Class::K10),
    confidential("clue", "offer-withdrawn", Rule::To, Class::K10),
    confidential("clue", "offer-returned", Rule::Own, Class::K10),
    confidential("clue", "released", Rule::To, Class::K10),
    confidential("clue-case", "delivered", Rule::To, Class::K10),
    confidential("clue-case", "accepted", Rule::To, Class::K10),
    confidential("clue-case", "registered", Rule::Own, Class::K10),
    confidential("clue-case", "returned", Rule::To, Class::K10),
    confidential("clue-case", "voided", Rule::Own, Class::K10),
    confidential("clue-case", "custody-taken", Rule::Own, Class::K10),
    confidential("clue-case", "assigned", Rule::Own, Class::K10),
    confidential("clue-case", "disposition-proposed", Rule::Own, Class::K10),
    confidential("clue-case", "disposition-approved", Rule::Own, Class::K10),
    confidential("clue-case", "progress-recorded", Rule::Own, Class::K10),
    confidential("clue-case", "held-clue-reviewed", Rule::Own, Class::K10),
    confidential("clue-case", "inquiry-sent", Rule::Own, Class::K10),
    confidential("clue-case", "inquiry-replied", Rule::Own, Class::K10),
    confidential("clue-case", "result-recorded", Rule::Own, Class::K10),
    confidential("clue-case", "result-fed-back", Rule::To, Class::K10),
    confidential("clue-case", "reopened", Rule::Own, Class::K10),
    confidential("clue-case", "reopening-passed-on", Rule::To, Class::K10),
    confidential("clue-case", "offered", Rule::To, Class::K10),
    confidential("clue-case", "offer-withdrawn", Rule::To, Class::K10),
    confidential("clue-case", "offer-returned", Rule::Own, Class::K10),
    confidential("clue-case", "released", Rule::To, Class::K10),
    row("clue-figures", "reported", Rule::Up, Class::K11, TEAMS),
    row("figures", "reported", Rule::Up, Class::K2, TEAMS),
    // Filings: vertical, to whoever asked.
    row("filing", "expected", Rule::To, Class::K12, BELOW),
    row("filing", "item-attached", Rule::Own, Class::K12, BELOW),
    row("filing", "submitted", Rule::To, Class::K12, BELOW),
    row("filing", "returned", Rule::Own, Class::K12, BELOW),
    row("filing", "accepted", Rule::Own, Class::K12, BELOW),
    row("filing-review", "expected", Rule::Own, Class::K12, TEAMS),
    row("filing-review", "submission-noted", Rule::Own, Class::K12, TEAMS),
    row("filing-review", "receipted", Rule::To, Class::K12, TEAMS),
    row("filing-review", "item-judged", Rule::To, Class::K12, TEAMS),
    row("filing-review", "returned", Rule::To, Class::K12, TEAMS),
    row("filing-review", "accepted", Rule::To, Class::K12, TEAMS),
];

/// Looks a full event type up.
pub fn bindings(kind: &str) -> Option<&'static Binding> {
    let rest = kind.strip_prefix("cn.liandong.")?.strip_suffix(".v1")?;
    let (family, name) = rest.split_once('.')?;
    TABLE.iter().find(|row| row.family == family && row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_unique_and_found_by_its_type() {
        for row in TABLE {
            let found = bindings(&kernel::decider::kind(row.family, row.name)).unwrap();
            assert!(std::ptr::eq(found, row), "{}.{} stands twice", row.family, row.name);
        }
        assert!(bindings("cn.liandong.finding.drafted.v2").is_none());
        assert!(bindings("finding.drafted").is_none());
    }

    /// Secret classes stay; of clues go words about custody, to the one they concern, and
    /// what the clue says goes with them in sealed parts only.
    #[test]
    fn secret_classes_never_travel_in_the_clear() {
        for row in TABLE.iter().filter(|row| !row.class.may_travel()) {
            let name = format!("{}.{}", row.family, row.name);
            let custody = row.root == Root::Cf && row.rule == Rule::To;
            assert!(row.rule == Rule::Own || custody, "{name}");
        }
        for row in TABLE.iter().filter(|row| row.root == Root::Cf) {
            assert!(matches!(row.rule, Rule::Own | Rule::To), "{}.{}", row.family, row.name);
        }
    }

    #[test]
    fn only_the_city_speaks_to_all() {
        for row in TABLE.iter().filter(|row| row.rule == Rule::All) {
            assert_eq!((row.tiers, row.class), (CITY, Class::K1), "{}.{}", row.family, row.name);
        }
    }
}
