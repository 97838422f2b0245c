//! 权限表 The policy page: the table that the checks read, as people read it.

use access::policy::{FLOOR, READ, Row, Subject, TABLE};
use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use domain::post::{ROLES, Role, scopes};

use crate::{
    ask::Office,
    view::{Head, parts, shown},
};

struct Allowed {
    /// Nothing for reading.
    action: &'static str,
    narrow: bool,
    with_reason: bool,
    on_work: bool,
    of_organ: bool,
    of_cadres: bool,
    everybody: bool,
    roles: String,
}

struct Matter {
    code: String,
    names: [&'static str; 2],
    reads: Vec<Allowed>,
    acts: Vec<Allowed>,
}

struct Post {
    role: &'static str,
    names: [&'static str; 2],
    organ: [&'static str; 2],
    scope: String,
}

#[derive(Template)]
#[template(path = "policy.html")]
struct Page {
    head: Head,
    matters: Vec<Matter>,
    posts: Vec<Post>,
    floor: u64,
}

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let head = Head::of(&office, &parts(request)).await;
    let mut subjects: Vec<Subject> = TABLE.iter().map(|row| row.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let matters = subjects.into_iter().map(|subject| matter(subject, &head)).collect();
    let post = |role: &Role| Post {
        role: role.name,
        names: role.names,
        organ: role.organ.names(),
        scope: scopes(role.width).to_owned(),
    };
    let posts = ROLES.iter().map(post).collect();
    shown(StatusCode::OK, &Page { head, matters, posts, floor: FLOOR })
}

fn matter(subject: Subject, head: &Head) -> Matter {
    let rows = TABLE.iter().filter(|row| row.subject == subject);
    let (reads, acts): (Vec<&Row>, Vec<&Row>) = rows.partition(|row| row.action == READ);
    let allowed = |row: &&Row| Allowed {
        action: row.action,
        narrow: row.narrow,
        with_reason: row.with_reason,
        on_work: row.on_work,
        of_organ: row.of_organ,
        of_cadres: row.of_cadres,
        everybody: row.roles == ["*"],
        roles: named(row, head),
    };
    Matter {
        code: subject.code(),
        names: subject.names(),
        reads: reads.iter().map(allowed).collect(),
        acts: acts.iter().map(allowed).collect(),
    }
}

fn named(row: &Row, head: &Head) -> String {
    let name = |role: &&str| {
        let names = Role::of(role).map_or(["", ""], |role| role.names);
        format!("{role} {}", head.t(names[0], names[1]))
    };
    row.roles.iter().map(name).collect::<Vec<_>>().join(head.t("、", ", "))
}
