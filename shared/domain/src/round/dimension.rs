//! The dimensions of a round; each is chosen by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 巡察方式: the basic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 常规
    Regular,
    /// 专项
    Special,
    /// 机动
    Mobile,
}

/// 组织方式: who inspects whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Organisation {
    /// 本级自行组织
    Own,
    /// 提级
    HigherTier,
    /// 交叉
    Cross,
    /// 联动
    Linked,
    /// 巡审联动
    JointAudit,
}

/// 覆盖方式: how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// 直接巡
    Direct,
    /// 延伸巡
    Extended,
    /// 系统巡
    System,
    /// 巡镇带村
    TownWithVillages,
    /// 点穴巡
    Point,
}
