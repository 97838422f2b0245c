use super::*;
use testkit::given;

const CSV: &str = "code,level,parent,name\n370200,city,370000,青岛市\n370282,district,370200,即墨市\n370282106,township,370282,蓝村镇\n";
const SWAP: &str = "370211,district,370200,即墨区,370282\n370282,district,370200,黄岛市,370211\n";
const HUANGDAO: &str = "370211,district,370200,黄岛区\n";

fn import(text: &str, from: &str) -> Import {
    let mut next = 0;
    let rows = read_csv(text, || {
        next += 1;
        format!("v{from}-{next}")
    });
    Import { rows: rows.unwrap(), valid_from: Day::parse(from).unwrap() }
}

fn after(imports: &[(&str, &str)]) -> Register {
    let mut register = Register::default();
    for (text, from) in imports {
        let events = register.decide(import(text, from), &testkit::context("p1"));
        events.unwrap().iter().for_each(|event| register.evolve(event));
    }
    register
}

/// Line and reason of every error; the reasons by their English words.
fn refused(register: &Register, text: &str, from: &str) -> Vec<String> {
    let refusal = register.decide(import(text, from), &testkit::context("p1")).unwrap_err();
    assert_eq!(refusal.code, Code::ImportRejected);
    let english = |what: &str| what.split(" / ").last().unwrap().to_owned();
    refusal.errors.iter().map(|(line, what)| format!("{line}: {}", english(what))).collect()
}

fn on(register: &Register, code: &str, day: &str) -> Option<(String, Attributes)> {
    let day = Day::parse(day).unwrap();
    let mut all = register.divisions.iter();
    all.find_map(|(id, life)| {
        let attributes = life.on(day)?.clone()?;
        (attributes.code == code).then(|| (id.clone(), attributes))
    })
}

fn id(register: &Register, code: &str, day: &str) -> String {
    on(register, code, day).unwrap().0
}

#[test]
fn a_whole_file_is_imported_once() {
    let events =
        Register::default().decide(import(CSV, "2010-01-01"), &testkit::context("p1")).unwrap();
    let [Event::DivisionsImported { divisions }] = events.as_slice() else { panic!() };
    let parents: Vec<_> =
        divisions.iter().map(|d| d.attributes.as_ref().unwrap().parent.as_deref()).collect();
    assert_eq!(parents, [None, Some("v2010-01-01-1"), Some("v2010-01-01-2")]);
    given::<Register>(events).when(import(CSV, "2010-01-01")).then([]);
}

#[test]
fn a_large_file_is_several_entries_and_one_bad_row_lets_nothing_in() {
    let mut text = CSV.to_owned();
    for n in 0..400 {
        text += &format!("370282106{n:03},village,370282106,第{n}村\n");
    }
    let events =
        Register::default().decide(import(&text, "2010-01-01"), &testkit::context("p1")).unwrap();
    assert_eq!(events.len(), 3);
    text += "370299101,township,370299,无\n";
    let why = ["line 405: parent 370299 is unknown"];
    assert_eq!(refused(&Register::default(), &text, "2010-01-01"), why);
}

#[test]
fn a_new_name_or_code_is_a_dated_attribute_of_the_same_division() {
    let recoded =
        "370215,district,370200,即墨区,370282\n370215007,township,370215,蓝村街道,370282106\n";
    let register = after(&[(CSV, "2010-01-01"), (recoded, "2017-10-01")]);
    let old = on(&register, "370282", "2017-09-30").unwrap();
    let new = on(&register, "370215", "2017-10-01").unwrap();
    assert_eq!((&old.0, old.1.name.as_str(), new.1.name.as_str()), (&new.0, "即墨市", "即墨区"));
    assert!(on(&register, "370282", "2017-10-01").is_none());
    let street = on(&register, "370215007", "2018-01-01").unwrap();
    assert_eq!(street.0, id(&register, "370282106", "2012-01-01"));
    assert_eq!(street.1.parent, Some(new.0), "the parent is the same division");
    let again = register.decide(import(recoded, "2017-10-01"), &testkit::context("p1"));
    assert_eq!(again.unwrap(), []);
    // A later file that still gives the former codes means the same ones.
    let later = after(&[(CSV, "2010-01-01"), (recoded, "2017-10-01"), (recoded, "2020-01-01")]);
    assert_eq!(later.divisions.len(), 3);
    assert_eq!(later.divisions[&street.0].periods().len(), 2);
}

#[test]
fn an_old_file_does_not_double_a_division_that_was_renumbered() {
    let recoded = "370215,district,370200,即墨区,370282\n";
    let register = after(&[(CSV, "2010-01-01"), (recoded, "2017-10-01")]);
    for (stale, day) in [
        ("370282,district,370200,即墨市\n", "2020-01-01"),
        ("370215,district,370200,乙\n", "2015-01-01"),
    ] {
        let why = refused(&register, stale, day);
        assert!(why[0].contains("belongs to a division at another time"), "{why:?}");
    }
    let new = "370282,district,370200,新区,new\n";
    let register = after(&[(CSV, "2010-01-01"), (recoded, "2017-10-01"), (new, "2020-01-01")]);
    assert_ne!(id(&register, "370282", "2020-01-01"), id(&register, "370215", "2020-01-01"));
    let again = register.decide(import(new, "2020-01-01"), &testkit::context("p1"));
    assert_eq!(again.unwrap(), []);
}

#[test]
fn what_is_learnt_later_of_an_earlier_time_stands_before_it() {
    let earlier = "370200,city,370000,青岛\n370282,district,370200,即墨县\n";
    let register = after(&[(CSV, "2010-01-01"), (earlier, "1980-01-01")]);
    assert_eq!(on(&register, "370282", "1985-01-01").unwrap().1.name, "即墨县");
    assert_eq!(on(&register, "370282", "2010-01-01").unwrap().1.name, "即墨市");
    assert_eq!(register.divisions.len(), 3);
    // Its earlier code is learnt after its present one: the id says which is meant.
    let now = "370200,city,370000,青岛市\n370215,district,370200,即墨区\n";
    let mut register = after(&[(now, "2023-06-30")]);
    let jimo = id(&register, "370215", "2023-06-30");
    for text in [
        "370200,city,370000,青岛市\n".to_owned(),
        format!("370282,district,370200,即墨市,{jimo}\n"),
    ] {
        let events = register.decide(import(&text, "2010-01-01"), &testkit::context("p1"));
        events.unwrap().iter().for_each(|event| register.evolve(event));
    }
    assert_eq!(id(&register, "370282", "2015-01-01"), jimo);
    let nobody = refused(&register, "370283,district,370200,丙,vnobody\n", "2015-01-01");
    assert_eq!(nobody, ["line 1: there is no division with the id vnobody"]);
}

#[test]
fn a_wrong_code_is_corrected_on_its_own_day() {
    let wrong = "370251,district,370200,即墨区,370282\n";
    let right = "370215,district,370200,即墨区,370251\n";
    let register = after(&[(CSV, "2010-01-01"), (wrong, "2017-10-01"), (right, "2017-10-01")]);
    assert_eq!(id(&register, "370215", "2018-01-01"), id(&register, "370282", "2012-01-01"));
    assert!(on(&register, "370251", "2018-01-01").is_none());
    let again = register.decide(import(right, "2017-10-01"), &testkit::context("p1"));
    assert_eq!(again.unwrap(), []);
}

#[test]
fn a_code_belongs_to_one_division_at_a_time() {
    let register = after(&[(CSV, "2010-01-01"), (HUANGDAO, "2012-12-01")]);
    let taken = "370211,district,370200,即墨区,370282\n";
    let why = ["line 1: another division has this code"];
    assert_eq!(refused(&register, taken, "2017-10-01"), why);
    assert_eq!(refused(&register, taken, "2011-01-01"), why, "held from 2012 on");
    let nobody = refused(&register, "370299,district,370200,丙,370298\n", "2017-10-01");
    assert_eq!(nobody, ["line 1: no division had the code 370298 until then"]);
    let twice = "370221,district,370200,甲,370282\n370222,district,370200,乙,370282\n";
    let twice = refused(&register, twice, "2017-10-01");
    assert_eq!(twice, ["line 2: an earlier line names it too"]);
}

#[test]
fn two_divisions_may_swap_their_codes_and_are_not_mistaken_for_each_other() {
    let register = after(&[(CSV, "2010-01-01"), (HUANGDAO, "2012-12-01"), (SWAP, "2017-10-01")]);
    assert_eq!(id(&register, "370211", "2018-01-01"), id(&register, "370282", "2017-01-01"));
    assert_eq!(id(&register, "370282", "2018-01-01"), id(&register, "370211", "2017-01-01"));
    let again = register.decide(import(SWAP, "2017-10-01"), &testkit::context("p1"));
    assert_eq!(again.unwrap(), [], "the same file means the same");
    let why = refused(&register, SWAP, "2020-01-01");
    assert!(why.iter().all(|why| why.contains("two divisions had the code")), "{why:?}");
    let early = refused(&register, "370282,district,370200,县\n", "2005-01-01");
    assert!(early[0].contains("belongs to a division at another time"), "{early:?}");
}

#[test]
fn a_division_ends_with_all_that_is_below_it() {
    let below = ["line 1: divisions below it have to move with it"];
    let register = after(&[(CSV, "2010-01-01"), (HUANGDAO, "2010-02-01")]);
    assert_eq!(refused(&register, "370282,ended,,\n", "2017-10-01"), below);
    let merged = "370282,ended,,\n370211106,township,370211,蓝村镇,370282106\n";
    let register = after(&[(CSV, "2010-01-01"), (HUANGDAO, "2010-02-01"), (merged, "2017-10-01")]);
    assert!(on(&register, "370282", "2017-09-30").is_some());
    assert!(on(&register, "370282", "2017-10-01").is_none());
    let again = register.decide(import(merged, "2017-10-01"), &testkit::context("p1"));
    assert_eq!(again.unwrap(), []);
    let nobody = refused(&register, "370299,ended,,\n", "2018-01-01");
    assert_eq!(nobody, ["line 1: no division has the code 370299 on that day"]);
    let late = "370211107,township,370211,后来镇\n";
    let mut later = register.clone();
    for event in later.decide(import(late, "2019-01-01"), &testkit::context("p1")).unwrap() {
        later.evolve(&event);
    }
    let ends = "370211,ended,,\n370211106,ended,,\n";
    assert_eq!(refused(&later, ends, "2018-01-01"), below, "something begins below it in 2019");
    let back = refused(&register, "370282,district,370200,即墨市\n", "2020-01-01");
    assert!(back[0].contains("belongs to a division at another time"), "{back:?}");
}

#[test]
fn a_duplicate_or_orphan_row_refuses_the_file_and_names_its_line() {
    let text = format!("{CSV}370282106,township,370282,蓝村镇\n370299101,township,370299,无\n");
    let why = ["line 5: same code as line 4", "line 6: parent 370299 is unknown"];
    assert_eq!(refused(&Register::default(), &text, "2010-01-01"), why);
    // One bad row is told once, not again for everything below it.
    let bad = CSV.replace("370282,district,370200,即墨市", "370282,district,370200,即墨市,370298");
    let why = ["line 3: no division had the code 370298 until then"];
    assert_eq!(refused(&Register::default(), &bad, "2010-01-01"), why);
    let many: Vec<_> = (100..250).map(|n| format!("370299{n},township,370299,无\n")).collect();
    let many = many.concat();
    let why = refused(&Register::default(), &many, "2010-01-01");
    assert_eq!((why.len(), why[100].as_str()), (101, "…: 50 more"));
}

#[test]
fn an_impossible_tree_is_refused() {
    for bad in ["370287,district,370287,自", "370285,district,370282,甲"] {
        let why = ["line 5: the parent is not of the level above"];
        let text = format!("{CSV}{bad}\n");
        assert_eq!(refused(&Register::default(), &text, "2010-01-01"), why, "{bad}");
    }
    let register = after(&[(CSV, "2010-01-01")]);
    let other = "320400,city,320000,常州市\n320481,district,320400,溧阳市\n";
    let one = ["line 1: the register is that of one city"];
    assert_eq!(refused(&register, other, "2017-10-01"), one);
    assert_eq!(refused(&register, other, "1990-01-01"), one, "nor before it began");
    let under = "320400,city,320000,常州市\n370201,district,320400,青岛,370200\n";
    let below = "line 2: divisions below it have to move with it";
    assert_eq!(refused(&register, under, "2017-10-01"), [one[0], below]);
    let below = "370282000,township,370200,即墨街道,370282\n";
    let why = ["line 1: divisions below it have to move with it"];
    assert_eq!(refused(&register, below, "2017-10-01"), why);
}
