//! 权限表 The policy page: the table that the checks read, as people read it.

use std::fmt::Write;

use access::policy::{READ, Row, Subject, TABLE};
use domain::post::{ROLES, Role, scopes};

/// The page, made from the table.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>权限表 · Policy</title><style>\
         body{font-family:system-ui,'Noto Sans CJK SC',sans-serif;margin:2rem;line-height:1.6}\
         table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3em .6em;\
         vertical-align:top;text-align:left}th{background:#eee;color:#111}small{color:#444}</style>\
         <h1>权限表</h1><p>表中没有的,一律不许。岗位的范围决定它在多大范围内有这些权限。\
         事项涉及的人及其单位、已移交事项的原经办人,都没有任何一行。</p>\
         <p lang=\"en\">What no row allows is refused. How far a post reaches is its scope. The object of \
         a matter, its office, and whoever handed a matter over have no row at all.</p>\
         <table><caption>事项与权限 · Matters</caption><tr><th scope=\"col\">类别 Class\
         <th scope=\"col\">读 Read<th scope=\"col\">操作 Commands",
    );
    for subject in subjects() {
        let [zh, en] = subject.names();
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{} {zh}<br><small lang=\"en\">{en}</small>",
            subject.code()
        );
        let (reads, acts): (Vec<&Row>, Vec<&Row>) =
            TABLE.iter().filter(|row| row.subject == subject).partition(|row| row.action == READ);
        page += "<td>";
        for row in reads {
            let only = "仅限本轮本任务 <span lang=\"en\">(own work only)</span>: ";
            let _ = write!(page, "<p>{}{}</p>", if row.narrow { only } else { "" }, named(row));
        }
        page += "<td>";
        for row in acts {
            let _ = write!(page, "<p><code>{}</code>: {}</p>", row.action, named(row));
        }
    }
    page += "</table><table><caption>岗位 · Posts</caption><tr><th scope=\"col\">岗位 Role\
             <th scope=\"col\">所属 Organ<th scope=\"col\">范围 Scope";
    for role in ROLES {
        let ([zh, en], [organ, organ_en]) = (role.names, role.organ.names());
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{} {zh}<br><small lang=\"en\">{en}</small>\
             <td>{organ}<br><small lang=\"en\">{organ_en}</small><td><code>{}</code>",
            role.name,
            scopes(role.width)
        );
    }
    page + "</table></html>"
}

fn subjects() -> Vec<Subject> {
    let mut subjects: Vec<Subject> = TABLE.iter().map(|row| row.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}

fn named(row: &Row) -> String {
    if row.roles == ["*"] {
        return "所有在岗人员 <span lang=\"en\">(whoever holds a post)</span>".to_owned();
    }
    let name = |role: &&str| format!("{role} {}", Role::of(role).map_or("", |role| role.names[0]));
    row.roles.iter().map(name).collect::<Vec<_>>().join(", ")
}
