//! 立足点 What somebody stands on: posts, and the three relations that take away.

use std::collections::BTreeSet;

use domain::{
    post::{Organ, Role, Scope},
    reading::is_recorded,
};

use super::{Matter, READ, Row, Subject, Subject::Of, TABLE, rows};

/// A post that is held today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The authorisation that gave it.
    pub authorisation: String,
    /// The role, with its tier's letter.
    pub role: String,
    /// What it covers.
    pub scope: Scope,
}

/// What somebody stands on when something is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The posts that are held today.
    pub posts: Vec<Post>,
    /// The organizations from whose matters the person is kept.
    pub recused: BTreeSet<String>,
    /// Whether a reason for reading was given.
    pub gives_reason: bool,
}

impl Row {
    /// Whether a post has this row for a matter.
    fn allows(&self, post: &Post, matter: &Matter<'_>) -> bool {
        self.names(&post.role)
            && (!self.on_work || matter.round.is_some())
            && (!self.of_organ || matter.organ.is_some())
            && (!self.of_cadres || matter.own_cadres)
            && (self.of_cadres
                || matter.organ.is_none_or(|organ| acts_for(&post.role) == Some(organ)))
            && (!self.narrow || post.scope != Scope::Office)
            && (matter.subject.is_common() || covers(&post.scope, self.action, matter))
            // A command changes what is this office's own, never what it was given.
            && (self.action == READ || matter.own)
    }
}

/// The organ whose matters a role has: a team works within the inspection office.
fn acts_for(role: &str) -> Option<Organ> {
    Some(match Role::of(role)?.organ {
        Organ::Team => Organ::InspectionOffice,
        organ => organ,
    })
}

/// Whether a post of this scope reaches a matter. A post on one task reads the round
/// around it, and does nothing to it.
fn covers(scope: &Scope, action: &str, matter: &Matter<'_>) -> bool {
    match scope {
        Scope::Office => true,
        Scope::Round(round) => matter.round == Some(round),
        Scope::Task(round, task) => {
            matter.round == Some(round) && matter.task.map_or(action == READ, |of| of == task)
        }
        Scope::Unit(unit) => matter.unit == Some(unit),
        Scope::Case(case) => matter.case == Some(case),
        Scope::Portfolio(units) => {
            matter.unit.is_some_and(|of| units.iter().any(|unit| unit == of))
        }
    }
}

impl Post {
    /// Whether whoever holds it belongs to the inspected side of this unit's matters.
    fn is_inspected(&self, unit: &str) -> bool {
        let inspected = Role::of(&self.role).is_some_and(|role| role.organ == Organ::InspectedUnit);
        inspected
            && match &self.scope {
                Scope::Unit(of) => of == unit,
                _ => true,
            }
    }
}

impl Standing {
    /// Whether some unit's matters are closed to the person that others of these posts
    /// may read: what is not known to be of another unit is then not shown.
    pub fn is_set_apart(&self) -> bool {
        let inspected = |post: &Post| {
            Role::of(&post.role).is_some_and(|role| role.organ == Organ::InspectedUnit)
        };
        let mixed = self.posts.iter().any(inspected) && !self.posts.iter().all(inspected);
        mixed || !self.recused.is_empty()
    }

    /// The same, had a reason for reading been given.
    #[must_use]
    pub fn with_reason(&self) -> Self {
        Self { gives_reason: true, ..self.clone() }
    }

    /// Whether the person has a stake in a unit: is recused from it, or of its side.
    pub fn is_kept_from(&self, unit: &str) -> bool {
        self.recused.contains(unit) || self.posts.iter().any(|post| post.is_inspected(unit))
    }

    /// Whether the post counts for a matter: no post does where the person is recused, and
    /// of the inspected unit itself only the unit's own.
    fn counts(&self, post: &Post, matter: &Matter<'_>) -> bool {
        let Some(unit) = matter.unit.filter(|_| !matter.subject.is_common()) else { return true };
        let inspected = self.posts.iter().any(|post| post.is_inspected(unit));
        !self.recused.contains(unit) && (!inspected || post.is_inspected(unit))
    }
}

/// The post by which somebody may do this with the matter.
pub fn allows<'p>(standing: &'p Standing, action: &str, matter: &Matter<'_>) -> Option<&'p Post> {
    let asked = |row: &&Row| {
        row.action == action
            && (action != READ || row.subject == matter.subject)
            && (!row.with_reason || standing.gives_reason)
    };
    let allowed =
        |row: &Row, post: &Post| row.allows(post, matter) && standing.counts(post, matter);
    let by = |row: &Row| standing.posts.iter().find(|post| allowed(row, post));
    TABLE.iter().filter(asked).find_map(by)
}

/// Counts below this are not said to whoever may not read what is counted (`model.md` 2.3).
pub const FLOOR: u64 = 3;

/// A count of what is in the matter, as this reader may know it.
pub fn count(standing: &Standing, matter: &Matter<'_>, count: u64) -> Option<u64> {
    let small = (1..FLOOR).contains(&count);
    (!small || allows(standing, READ, matter).is_some()).then_some(count)
}

/// The post by which somebody may do this with what belongs to the office as a whole: its
/// lists, its figures, what is begun anew.
pub fn whole<'p>(standing: &'p Standing, action: &str, subject: Subject) -> Option<&'p Post> {
    allows(standing, action, &Matter::of(subject))
}

/// The post by which somebody may do this with some matter of these subjects: who has
/// none is refused before anything is looked for. The very row is asked about later.
pub fn some<'p>(standing: &'p Standing, action: &str, subjects: &[Subject]) -> Option<&'p Post> {
    let rows = rows(action, subjects).filter(|row| !row.with_reason || standing.gives_reason);
    let posts = &standing.posts;
    rows.into_iter().find_map(|row| {
        posts
            .iter()
            .find(|post| row.names(&post.role) && (!row.narrow || post.scope != Scope::Office))
    })
}

/// Whether a post could give any command of a family.
pub fn acts_on(posts: &[Post], family: &str) -> bool {
    let of = |row: &&Row| row.action.split_once('.').is_some_and(|(of, _)| of == family);
    TABLE.iter().filter(of).any(|row| posts.iter().any(|post| row.names(&post.role)))
}

/// Whether whoever holds these posts shows a second factor: administrators, and those who
/// read what is recorded when it is read.
pub fn asks_second_factor(posts: &[Post]) -> bool {
    let secret = |row: &Row| matches!(row.subject, Of(class) if is_recorded(class));
    posts.iter().any(|post| {
        Role::of(&post.role).is_some_and(Role::administers)
            || TABLE.iter().any(|row| row.action == READ && secret(row) && row.names(&post.role))
    })
}
