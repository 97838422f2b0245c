use super::*;
use testkit::given;

const CSV: &str = "code,level,parent,name\n370200,city,370000,青岛市\n370282,district,370200,即墨市\n370282106,township,370282,蓝村镇\n";

fn import(text: &str, from: &str) -> Import {
    let mut next = 0;
    let rows = read_csv(text, || {
        next += 1;
        format!("{from}-{next}")
    });
    Import { rows: rows.unwrap(), valid_from: Day::parse(from).unwrap() }
}

fn after(imports: &[(&str, &str)]) -> Register {
    let mut register = Register::default();
    for (text, from) in imports {
        for event in register.decide(import(text, from), &testkit::context("p1")).unwrap() {
            register.evolve(&event);
        }
    }
    register
}

fn refused(register: &Register, text: &str, from: &str) -> Vec<String> {
    let refusal = register.decide(import(text, from), &testkit::context("p1")).unwrap_err();
    assert_eq!(refusal.code, Code::ImportRejected);
    refusal.errors.into_iter().map(|(line, _)| line).collect()
}

fn on<'a>(register: &'a Register, code: &str, day: &str) -> Option<&'a Division> {
    register.on(Day::parse(day).unwrap()).find(|division| division.code == code)
}

#[test]
fn a_whole_file_is_imported_once() {
    let events =
        Register::default().decide(import(CSV, "2010-01-01"), &testkit::context("p1")).unwrap();
    let [Event::DivisionsImported { divisions }] = events.as_slice() else { panic!() };
    let parents: Vec<_> = divisions.iter().map(|d| d.parent.as_deref()).collect();
    assert_eq!(parents, [None, Some("2010-01-01-1"), Some("2010-01-01-2")]);
    given::<Register>(events.clone()).when(import(CSV, "2010-01-01")).then([]);
    given::<Register>(events).when(import(CSV, "2012-01-01")).then([]);
}

#[test]
fn a_new_name_or_code_is_a_dated_attribute_of_the_same_division() {
    let recoded =
        "370215,district,370200,即墨区,370282\n370215007,township,370215,蓝村街道,370282106\n";
    let register = after(&[(CSV, "2010-01-01"), (recoded, "2017-10-01")]);
    let old = on(&register, "370282", "2017-09-30").unwrap();
    let new = on(&register, "370215", "2017-10-01").unwrap();
    assert_eq!((&old.id, old.name.as_str()), (&new.id, "即墨市"));
    assert_eq!(new.name, "即墨区");
    assert!(on(&register, "370282", "2017-10-01").is_none());
    let street = on(&register, "370215007", "2018-01-01").unwrap();
    assert_eq!(street.id, on(&register, "370282106", "2012-01-01").unwrap().id);
    assert_eq!(street.parent.as_ref(), Some(&new.id), "the parent is the same division");
    let again = register.decide(import(recoded, "2017-10-01"), &testkit::context("p1"));
    assert_eq!(again.unwrap(), []);
    assert_eq!(register.divisions.len(), 3);
    // A later file that still gives the former code is understood too.
    let later = register.decide(import(recoded, "2020-01-01"), &testkit::context("p1"));
    assert_eq!(later.unwrap(), []);
}

#[test]
fn an_old_file_does_not_double_a_division_that_was_renumbered() {
    let recoded = "370215,district,370200,即墨区,370282\n";
    let register = after(&[(CSV, "2010-01-01"), (recoded, "2017-10-01")]);
    let stale = "370282,district,370200,即墨市\n";
    assert_eq!(refused(&register, stale, "2020-01-01"), ["line 1"]);
    assert_eq!(refused(&register, "370215,district,370200,乙\n", "2015-01-01"), ["line 1"]);
}

#[test]
fn what_is_learnt_later_of_an_earlier_time_stands_before_it() {
    let earlier = "370200,city,370000,青岛\n370282,district,370200,即墨县\n";
    let register = after(&[(CSV, "2010-01-01"), (earlier, "1980-01-01")]);
    assert_eq!(on(&register, "370282", "1985-01-01").unwrap().name, "即墨县");
    assert_eq!(on(&register, "370282", "2010-01-01").unwrap().name, "即墨市");
    assert_eq!(register.divisions.len(), 3);
}

#[test]
fn a_code_belongs_to_one_division_at_a_time() {
    let more = "370211,district,370200,黄岛区\n";
    let register = after(&[(CSV, "2010-01-01"), (more, "2012-12-01")]);
    let taken = "370211,district,370200,即墨区,370282\n";
    assert_eq!(refused(&register, taken, "2017-10-01"), ["line 1"]);
    assert_eq!(refused(&register, taken, "2011-01-01"), ["line 1"], "held from 2012 on");
    let swap = "370211,district,370200,即墨区,370282\n370282,district,370200,黄岛市,370211\n";
    let swapped = after(&[(CSV, "2010-01-01"), (more, "2012-12-01"), (swap, "2017-10-01")]);
    let now = on(&swapped, "370211", "2018-01-01").unwrap();
    assert_eq!(now.id, on(&swapped, "370282", "2017-01-01").unwrap().id);
    let nobody = "370299,district,370200,丙,370298\n";
    assert_eq!(refused(&register, nobody, "2017-10-01"), ["line 1"]);
    let twice = "370221,district,370200,甲,370282\n370222,district,370200,乙,370282\n";
    assert_eq!(refused(&register, twice, "2017-10-01"), ["line 2"]);
}

#[test]
fn a_duplicate_or_orphan_row_refuses_the_file_and_names_its_line() {
    let text = format!("{CSV}370282106,township,370282,蓝村镇\n370299101,township,370299,无\n");
    let register = Register::default();
    assert_eq!(refused(&register, &text, "2010-01-01"), ["line 5", "line 6"]);
}

#[test]
fn an_impossible_tree_is_refused() {
    for bad in ["370287,district,370287,自", "370285,district,370282,甲"] {
        let text = format!("{CSV}{bad}\n");
        assert_eq!(refused(&Register::default(), &text, "2010-01-01"), ["line 5"], "{bad}");
    }
}
