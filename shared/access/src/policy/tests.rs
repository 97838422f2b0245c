//! The table, asked as the desks ask it.

use super::{standing::*, *};

fn post(role: &str, scope: &str) -> Standing {
    let (authorisation, role) = (String::new(), role.to_owned());
    let post = Post { authorisation, role, scope: domain::post::Scope::parse(scope).unwrap() };
    Standing { posts: vec![post], ..Standing::default() }
}

fn of_task<'a>(class: Class, round: &'a str, task: &'a str) -> Matter<'a> {
    Matter { round: Some(round), task: Some(task), ..Matter::of(Of(class)) }
}

#[test]
fn every_role_of_the_table_exists_and_a_command_has_one_row() {
    let mut seen = std::collections::BTreeSet::new();
    for row in TABLE {
        for role in row.roles {
            assert!(*role == "*" || Role::of(role).is_some(), "{role}");
        }
        assert!(row.action == READ || seen.insert(row.action), "{} stands twice", row.action);
    }
}

#[test]
fn a_post_on_a_round_reaches_that_round_only() {
    let leader = post("D_TL", "round:r1");
    assert!(allows(&leader, "finding.drop", &of_task(K7, "r1", "t1")).is_some());
    assert!(allows(&leader, "finding.drop", &of_task(K7, "r2", "t1")).is_none());
    assert!(allows(&leader, READ, &of_task(K7, "r2", "t1")).is_none());
    assert!(allows(&leader, READ, &Matter::of(Of(K1))).is_some());
    assert!(allows(&leader, READ, &Matter::of(Of(K2))).is_none(), "no list of targets");
}

#[test]
fn a_post_on_a_task_reads_the_round_and_changes_the_task_only() {
    let member = post("D_TL", "task:r1/t1");
    let round = Matter { round: Some("r1"), ..Matter::of(Of(K3)) };
    assert!(allows(&member, READ, &round).is_some());
    assert!(allows(&member, "round.enter", &round).is_none());
    assert!(allows(&member, "round.enter", &of_task(K3, "r1", "t1")).is_some());
    assert!(allows(&member, "finding.draft", &of_task(K7, "r1", "t2")).is_none());
}

#[test]
fn a_post_on_a_unit_reaches_what_is_that_units_only() {
    let unit = post("D_UNIT", "organ:o1");
    let of = |unit| Matter { unit, ..Matter::of(Of(K9)) };
    assert!(allows(&unit, "rectification.measures", &of(Some("o1"))).is_some());
    assert!(allows(&unit, "rectification.measures", &of(Some("o2"))).is_none());
    assert!(allows(&unit, READ, &of(Some("o2"))).is_none());
    assert!(allows(&unit, READ, &of(None)).is_none(), "what is no unit's is not theirs");
}

#[test]
fn a_portfolio_reaches_each_of_its_units() {
    let leader = post("D_PL", "portfolio:o1,o2");
    let of = |unit| Matter { unit, ..Matter::of(Of(K9)) };
    for (unit, may) in [(Some("o1"), true), (Some("o2"), true), (Some("o3"), false), (None, false)]
    {
        assert_eq!(allows(&leader, READ, &of(unit)).is_some(), may, "{unit:?}");
    }
}

#[test]
fn whoever_is_recused_has_nothing_of_that_unit() {
    let mut leader = post("D_TL", "round:r1");
    leader.recused.insert("o1".to_owned());
    let of = |class, unit| Matter { unit, ..of_task(class, "r1", "t1") };
    for class in [K3, K7, K8, K9] {
        assert!(allows(&leader, READ, &of(class, Some("o1"))).is_none(), "{class:?}");
        assert!(allows(&leader, READ, &of(class, Some("o2"))).is_some(), "{class:?}");
    }
    assert!(allows(&leader, "finding.drop", &of(K7, Some("o1"))).is_none());
    assert!(allows(&leader, "finding.drop", &of(K7, Some("o2"))).is_some());
    assert!(leader.is_set_apart());
}

#[test]
fn whoever_is_of_the_inspected_unit_has_only_what_the_unit_has() {
    let mut both = post("D_TM", "round:r1");
    both.posts.extend(post("D_UNIT", "organ:o1").posts);
    let of = |class, unit| Matter { unit, ..of_task(class, "r1", "t1") };
    assert!(allows(&both, READ, &of(K7, Some("o2"))).is_some());
    assert!(allows(&both, READ, &of(K7, Some("o1"))).is_none());
    assert!(allows(&both, "finding.draft", &of(K7, Some("o1"))).is_none());
    assert!(allows(&both, READ, &of(K9, Some("o1"))).is_some());
    assert!(both.is_set_apart() && !post("D_UNIT", "organ:o1").is_set_apart());
}

#[test]
fn who_is_consulted_says_why() {
    let mut deputy = post("D_NRD", "round:r1");
    let draft = of_task(K7, "r1", "t1");
    assert!(allows(&deputy, READ, &draft).is_none());
    assert!(some(&deputy, READ, &[Of(K7)]).is_none());
    deputy.gives_reason = true;
    assert!(allows(&deputy, READ, &draft).is_some());
    assert!(some(&deputy, READ, &[Of(K7)]).is_some());
}

#[test]
fn a_small_count_is_for_those_who_may_read_what_is_counted() {
    let list = Matter::of(Of(K9));
    let (desk, filing) = (post("D_RECT", "office"), post("D_FILE", "office"));
    for (number, known) in [(0, true), (1, false), (2, false), (3, true)] {
        assert_eq!(count(&desk, &list, number), Some(number));
        assert_eq!(count(&filing, &list, number), known.then_some(number));
    }
}

#[test]
fn what_another_office_gave_is_read_and_never_changed() {
    let desk = post("D_RECT", "office");
    let given = Matter { own: false, ..of_task(K9, "r1", "t1") };
    assert!(allows(&desk, READ, &given).is_some());
    assert!(allows(&desk, "finding.close-out", &given).is_none());
}

#[test]
fn the_secret_of_the_next_round_needs_a_post_on_it() {
    let next = of_task(K3, "r1", "t1");
    assert!(allows(&post("D_TM", "office"), READ, &next).is_none());
    assert!(allows(&post("D_TM", "round:r1"), READ, &next).is_some());
}

#[test]
fn administrators_read_no_content() {
    for role in ["D_SYS", "D_SECADM", "D_AUDADM"] {
        for class in [K2, K3, K7, K8, K9, K12] {
            assert!(allows(&post(role, "office"), READ, &Matter::of(Of(class))).is_none());
        }
    }
}
