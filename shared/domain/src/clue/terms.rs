//! The words of a clue: what may be said of it without opening it.

use kernel::OfficeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Level;

/// Where a clue comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// 信访
    Petition,
    /// 谈话
    Talk,
    /// 查阅资料
    Documents,
    /// 走访
    Visit,
    /// 审计
    Audit,
    /// 其他
    Other,
}

/// The rank of a clue's object.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RankBand {
    /// 村(社区)干部
    Village,
    /// 科级及以下
    Section,
    /// 县处级
    County,
    /// 厅局级及以上
    Bureau,
}

/// Who has authority over the object, and so gets the clue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Authority {
    /// 本级管理
    Own,
    /// 上级管理
    Upper,
    /// 下级管理
    Lower(OfficeId),
    /// 组织部门处理
    OrganizationDepartment,
    /// 不经本系统:上级以外、司法机关
    Outside,
}

/// How far the two judged that it can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// 具体可查
    Checkable,
    /// 较具体
    Partly,
    /// 笼统
    Vague,
}

/// What may be said of a clue without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brief {
    /// The round's id.
    pub round: String,
    /// The task.
    pub task: String,
    /// The inspected organization.
    pub unit: String,
    /// Its level.
    pub level: Level,
    /// Where it comes from.
    pub source: Source,
    /// The object's rank.
    pub rank_band: RankBand,
    /// 一把手: whether the object leads the organization.
    pub principal_leader: bool,
    /// Who has authority over the object.
    pub authority: Authority,
    /// 反映巡察机构自身: the object belongs to the chain that would handle it.
    pub of_the_chain: bool,
}

impl Brief {
    /// Whether it is about cadres under its first holder's own authority, and nobody of the
    /// chain that would handle it.
    pub fn is_of_own_cadres(&self) -> bool {
        self.authority == Authority::Own && !self.of_the_chain
    }
}

/// What came of it; counts, no names (S1: 立案 counts cases, 处分 counts persons).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// 立案, cases.
    #[serde(default)]
    pub cases: u16,
    /// 党纪政务处分, persons.
    #[serde(default)]
    pub disciplined: u16,
    /// 组织处理, persons.
    #[serde(default)]
    pub measures: u16,
    /// 移送司法, persons.
    #[serde(default)]
    pub transferred: u16,
    /// 留置, persons.
    #[serde(default)]
    pub detained: u16,
    /// 四种形态, persons by form.
    #[serde(default)]
    pub forms: [u16; 4],
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 起草
    Drafted,
    /// 已会商
    Discussed,
    /// 一人已签
    FirstSigned,
    /// 双签字
    DualSigned,
    /// 已密封
    Sealed,
    /// 封存前撤回
    Dropped,
    /// 已移交
    Released,
    /// 纸质移交
    OnPaper,
    /// 已反馈结果
    FedBack,
    /// 办结
    Closed,
}
