//! 报备目录: the material codes (`model.md` 3.13) and the sets that are filed together.

/// One material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Material {
    /// The code.
    pub code: &'static str,
    /// The Chinese name.
    pub zh: &'static str,
    /// The English name.
    pub en: &'static str,
}

const fn m(code: &'static str, zh: &'static str, en: &'static str) -> Material {
    Material { code, zh, en }
}

/// Every material, county to city; a township files R13 with its district.
pub const MATERIALS: &[Material] = &[
    m("A1", "五年规划及修订", "five-year plan and revisions"),
    m("A2", "年度计划和工作要点", "annual plan and work points"),
    m("A3", "年度工作报告", "annual report"),
    m("A4", "人员编制、空编和人才库", "staff, vacancies, pool list"),
    m("A5", "制度文件", "system documents issued"),
    m("R1", "轮次方案", "round plan"),
    m("R2", "组员名单和授权", "team list and authorisations"),
    m("R3", "动员部署记录", "mobilisation record"),
    m("R4", "中期情况", "midterm situation"),
    m("R5", "领导小组会议纪要", "leading group minutes"),
    m("R6", "书记点人点事讲话", "secretary's speech at the hearing"),
    m("R7", "巡察综合情况报告", "summary report of the round"),
    m("R8", "听取汇报会议纪要", "committee's minutes hearing the round"),
    m("R9", "反馈意见和问题清单", "feedback texts and lists"),
    m("R10", "线索移交清单(数量)", "clue transfer list (counts)"),
    m("R11", "抄告单、建议书", "copy notes, advice letters"),
    m("R12", "整改方案", "rectification plans"),
    m("R13", "整改报告和台账", "rectification reports and ledger"),
    m("R14", "公开情况", "disclosure proof"),
    m("R15", "评估结果和约谈", "evaluation grades, interviews"),
    m("R16", "专题报告和批示", "thematic reports and directives"),
    m("E1", "省委巡视整改材料", "provincial rectification papers"),
    m("E2", "机动、专项轮次启动", "mobile or special round inserted"),
    m("E3", "重要敏感事项", "important or sensitive event"),
    m("E4", "领导小组、负责人变动", "change of head or leading group"),
];

/// Materials that one trigger or date asks for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// The set's name, part of the filing's id.
    pub name: &'static str,
    /// The Chinese title.
    pub zh: &'static str,
    /// Code and whether it is required.
    pub items: &'static [(&'static str, bool)],
    /// The deadline's row.
    pub deadline: &'static str,
}

/// The sets.
pub const SETS: &[Set] = &[
    Set {
        name: "round-plan",
        zh: "轮次方案报备",
        items: &[("R1", true), ("R2", true), ("R3", false)],
        deadline: "filing.default",
    },
    Set {
        name: "hearing",
        zh: "听取汇报情况报备",
        items: &[("R6", true), ("R7", true), ("R8", false)],
        deadline: "filing.default",
    },
    Set {
        name: "feedback",
        zh: "反馈情况报备",
        items: &[("R9", true)],
        deadline: "filing.default",
    },
    Set {
        name: "annual-plan",
        zh: "年度计划报备",
        items: &[("A2", true)],
        deadline: "filing.default",
    },
    Set {
        name: "annual-report",
        zh: "年度报告报备",
        items: &[("A3", true)],
        deadline: "filing.default",
    },
    Set {
        name: "staff", zh: "人员情况报备", items: &[("A4", true)], deadline: "filing.default"
    },
    Set {
        name: "rectification",
        zh: "整改情况报备",
        items: &[("R13", true)],
        deadline: "rect.concentrated",
    },
];

/// The set of a name.
pub fn set(name: &str) -> Option<&'static Set> {
    SETS.iter().find(|set| set.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_asks_for_materials_of_the_checklist() {
        for (code, _) in SETS.iter().flat_map(|set| set.items) {
            assert!(MATERIALS.iter().any(|material| material.code == *code), "{code}");
        }
    }
}
