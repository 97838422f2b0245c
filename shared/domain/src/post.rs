//! 岗位 Posts: which roles exist at which tier, for which organ somebody acts in them,
//! and how narrow a post may be (`model.md` 2.1).
//!
//! A post never says what may be done: that is the policy table's matter.

use kernel::id::Tier;
use serde::{Deserialize, Serialize};

/// For whom somebody acts: the party of an office that a post belongs to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Organ {
    /// 领导小组与书记.
    LeadingGroup,
    /// 巡察办.
    InspectionOffice,
    /// 巡察组.
    Team,
    /// 纪检监察机关.
    DisciplineOrgan,
    /// 组织部.
    OrganizationDepartment,
    /// 审计机关.
    AuditOrgan,
    /// 分管领导.
    PortfolioLeader,
    /// 主管部门.
    CompetentDepartment,
    /// 被巡察党组织.
    InspectedUnit,
    /// 三员.
    Administration,
}

impl Organ {
    /// Chinese and English.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Self::LeadingGroup => ["领导小组", "leading group"],
            Self::InspectionOffice => ["巡察办", "inspection office"],
            Self::Team => ["巡察组", "inspection team"],
            Self::DisciplineOrgan => ["纪检监察机关", "discipline organ"],
            Self::OrganizationDepartment => ["组织部", "organization department"],
            Self::AuditOrgan => ["审计机关", "audit organ"],
            Self::PortfolioLeader => ["分管领导", "portfolio leader"],
            Self::CompetentDepartment => ["主管部门", "competent department"],
            Self::InspectedUnit => ["被巡察党组织", "inspected unit"],
            Self::Administration => ["系统管理", "administration"],
        }
    }
}

/// How narrow a role's posts may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Always the whole office.
    Office,
    /// The whole office, a round, or one task of it.
    Work,
    /// A round or one task of it, never the whole office.
    WorkOnly,
    /// The whole office, or one organization.
    Unit,
    /// One organization, never the whole office.
    UnitOnly,
    /// One organization or several, 分管, never the whole office.
    Portfolio,
    /// A round, a task of it, or one clue case, never the whole office.
    CaseOnly,
}

/// One role.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// Without its tier's letter: `PLAN`.
    pub name: &'static str,
    /// For whom.
    pub organ: Organ,
    /// Whether an office of a city or a district has it; else a township.
    pub inspects: bool,
    /// How narrow.
    pub width: Width,
    /// Chinese and English.
    pub names: [&'static str; 2],
}

const fn above(name: &'static str, organ: Organ, width: Width, names: [&'static str; 2]) -> Role {
    Role { name, organ, inspects: true, width, names }
}

const fn below(name: &'static str, organ: Organ, width: Width, names: [&'static str; 2]) -> Role {
    Role { name, organ, inspects: false, width, names }
}

/// Every role that somebody can hold; the three administrators exist at each tier.
pub static ROLES: &[Role] = &[
    above("SEC", Organ::LeadingGroup, Width::Office, ["书记", "secretary"]),
    above("LG", Organ::LeadingGroup, Width::Office, ["领导小组成员", "leading group"]),
    above("PLAN", Organ::InspectionOffice, Width::Office, ["综合岗", "planner"]),
    above("FILE", Organ::InspectionOffice, Width::Office, ["报备岗", "filing reviewer"]),
    above("RECT", Organ::InspectionOffice, Width::Office, ["整改岗", "rectification desk"]),
    above("CLUE", Organ::InspectionOffice, Width::Office, ["线索岗", "clue custodian"]),
    above("TL", Organ::Team, Width::Work, ["组长", "team leader"]),
    above("TD", Organ::Team, Width::Work, ["副组长", "deputy team leader"]),
    above("TM", Organ::Team, Width::Work, ["组员", "team member"]),
    above("LO", Organ::Team, Width::Work, ["联络员", "liaison of a team"]),
    above("NRD", Organ::Team, Width::WorkOnly, ["不驻点副组长", "non-resident deputy"]),
    above("NDI_REG", Organ::DisciplineOrgan, Width::Office, ["线索登记", "clue registry"]),
    above("NDI_OFF", Organ::DisciplineOrgan, Width::CaseOnly, ["承办室", "handling office"]),
    above("NDI_SUP", Organ::DisciplineOrgan, Width::Office, ["监督检查室", "supervision desk"]),
    above("ORG", Organ::OrganizationDepartment, Width::Office, ["组织部", "organization dept"]),
    above("AUD", Organ::AuditOrgan, Width::WorkOnly, ["审计", "audit"]),
    above("PL", Organ::PortfolioLeader, Width::Portfolio, ["分管领导", "portfolio leader"]),
    above(
        "DEPT",
        Organ::CompetentDepartment,
        Width::Portfolio,
        ["主管部门", "competent department"],
    ),
    above("UNIT", Organ::InspectedUnit, Width::Unit, ["被巡察单位", "inspected unit"]),
    below("COM", Organ::InspectedUnit, Width::Office, ["镇党委", "township committee"]),
    below("DISC", Organ::DisciplineOrgan, Width::Office, ["镇纪委", "township discipline office"]),
    below("BR", Organ::InspectedUnit, Width::UnitOnly, ["村党组织", "village branch"]),
    above("SYS", Organ::Administration, Width::Office, ["系统管理员", "system administrator"]),
    above("SECADM", Organ::Administration, Width::Office, ["安全管理员", "security administrator"]),
    above("AUDADM", Organ::Administration, Width::Office, ["审计管理员", "audit administrator"]),
];

/// The letter before a role at a tier.
pub fn letter(tier: Tier) -> char {
    match tier {
        Tier::City => 'C',
        Tier::District => 'D',
        Tier::Township => 'T',
    }
}

/// A role without its tier's letter: `PLAN` of `C_PLAN`.
pub fn plain(role: &str) -> &str {
    role.split_once('_').map_or(role, |(_, plain)| plain)
}

impl Role {
    /// The role that is named, with or without its tier's letter.
    pub fn of(name: &str) -> Option<&'static Self> {
        let known = |name: &str| ROLES.iter().find(|role| role.name == name);
        known(name).or_else(|| known(plain(name)))
    }

    /// Whether an office of this tier has the role.
    pub fn exists_at(&self, tier: Tier) -> bool {
        self.organ == Organ::Administration || self.inspects == (tier != Tier::Township)
    }

    /// Whether it is one of the three administrators.
    pub fn administers(&self) -> bool {
        self.organ == Organ::Administration
    }
}

/// The roles of a tier, `C_PLAN`, `D_FILE`, `T_COM`.
pub fn roles(tier: Tier) -> Vec<String> {
    let here = ROLES.iter().filter(|role| role.exists_at(tier));
    here.map(|role| format!("{}_{}", letter(tier), role.name)).collect()
}

/// What a post covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole office: `office`.
    Office,
    /// One round: `round:ID`.
    Round(String),
    /// One task of a round: `task:ROUND/TASK`.
    Task(String, String),
    /// What concerns one organization: `organ:ID`.
    Unit(String),
    /// What concerns any of these organizations: `portfolio:ID,ID`.
    Portfolio(Vec<String>),
    /// One clue case, by its registry's assignment: `case:ID`.
    Case(String),
}

/// The most organizations of one portfolio.
const MOST: usize = 40;

impl Scope {
    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "office" {
            return Some(Self::Office);
        }
        let (kind, id) = text.split_once(':')?;
        let named = |id: &str| (1..=120).contains(&id.len()).then(|| id.to_owned());
        match kind {
            "round" => Some(Self::Round(named(id).filter(|id| !id.contains('/'))?)),
            "task" => {
                let (round, task) = id.split_once('/')?;
                Some(Self::Task(named(round)?, named(task)?))
            }
            "organ" => Some(Self::Unit(named(id)?)),
            "case" => Some(Self::Case(named(id)?)),
            "portfolio" => {
                let ids: Vec<String> = id.split(',').map(named).collect::<Option<_>>()?;
                (ids.len() <= MOST).then_some(Self::Portfolio(ids))
            }
            _ => None,
        }
    }

    /// Whether posts of this width may have the scope.
    pub fn fits(&self, width: Width) -> bool {
        match self {
            Self::Office => matches!(width, Width::Office | Width::Work | Width::Unit),
            Self::Round(_) | Self::Task(..) => {
                matches!(width, Width::Work | Width::WorkOnly | Width::CaseOnly)
            }
            Self::Unit(_) => matches!(width, Width::Unit | Width::UnitOnly | Width::Portfolio),
            Self::Portfolio(_) => width == Width::Portfolio,
            Self::Case(_) => width == Width::CaseOnly,
        }
    }
}

/// What a role's posts may cover, as an operator writes it.
pub fn scopes(width: Width) -> &'static str {
    match width {
        Width::Office => "office",
        Width::Work => "office, round:ID, task:ROUND/TASK",
        Width::WorkOnly => "round:ID, task:ROUND/TASK",
        Width::Unit => "office, organ:ID",
        Width::UnitOnly => "organ:ID",
        Width::Portfolio => "organ:ID, portfolio:ID,ID",
        Width::CaseOnly => "round:ID, task:ROUND/TASK, case:ID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_with_and_without_its_tiers_letter() {
        for name in ["NDI_REG", "D_NDI_REG"] {
            assert_eq!(Role::of(name).unwrap().name, "NDI_REG");
        }
        assert_eq!(Role::of("T_COM").unwrap().name, "COM");
        assert!(Role::of("D_NOBODY").is_none());
        for tier in [Tier::City, Tier::District, Tier::Township] {
            for role in roles(tier) {
                assert!(Role::of(&role).unwrap().exists_at(tier), "{role}");
            }
        }
    }

    #[test]
    fn a_scope_reads_in_one_way() {
        assert_eq!(Scope::parse("office"), Some(Scope::Office));
        assert_eq!(Scope::parse("round:d-r1"), Some(Scope::Round("d-r1".into())));
        assert_eq!(Scope::parse("task:d-r1/t1"), Some(Scope::Task("d-r1".into(), "t1".into())));
        assert_eq!(Scope::parse("organ:x"), Some(Scope::Unit("x".into())));
        let both = Some(Scope::Portfolio(vec!["x".into(), "y".into()]));
        assert_eq!(Scope::parse("portfolio:x,y"), both);
        assert_eq!(Scope::parse("portfolio:x,"), None);
        assert_eq!(Scope::parse(&format!("portfolio:{}", ["x"; 41].join(","))), None);
        for bad in ["", "Office", "round:", "round:a/b", "task:a", "task:/b", "unit:x", "organ:"] {
            assert_eq!(Scope::parse(bad), None, "{bad}");
        }
    }
}
