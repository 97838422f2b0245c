//! Who is registered at an office's first start.

use desks::config::FirstPerson;

/// Who is registered at the first start. A real office gets its three
/// administrators, who let in everybody else.
pub(crate) fn people(tier: &str, demo: bool) -> Vec<FirstPerson> {
    let letter = match tier {
        "city" => 'C',
        "district" => 'D',
        _ => 'T',
    };
    let administrators = [
        ("sys", "系统管理员", "SYS"),
        ("secadm", "安全管理员", "SECADM"),
        ("auditor", "审计管理员", "AUDADM"),
    ];
    let office = [
        ("sec", "书记", "SEC"),
        ("lg", "领导小组", "LG"),
        ("plan", "综合岗", "PLAN"),
        ("file", "报备岗", "FILE"),
        ("rect", "整改岗", "RECT"),
        ("clue", "线索岗", "CLUE"),
        ("reg", "线索登记", "NDI_REG"),
        ("org", "组织部", "ORG"),
        ("tl", "组长", "TL"),
        ("td", "副组长", "TD"),
        ("tm", "组员", "TM"),
        ("lo", "联络员", "LO"),
        ("unit", "被巡察单位", "UNIT"),
    ];
    let town = [("com", "镇党委", "COM"), ("disc", "镇纪委", "DISC")];
    let workers: &[(&str, &str, &str)] = match (demo, tier) {
        (false, _) => &[],
        (_, "township") => &town,
        _ => &office,
    };
    let person = |(account, display, role): &(&str, &str, &str)| FirstPerson {
        account: (*account).to_owned(),
        display: (*display).to_owned(),
        roles: vec![format!("{letter}_{role}")],
    };
    workers.iter().chain(&administrators).map(person).collect()
}
