//! 密级上限 The classification ceiling: what is above it does not enter.
//!
//! Who sends something may say its classification in a header; and a text that bears the
//! mark of a state secret (GB/T 9704: the level and a star) says it itself. Nobody can
//! tell what bears no mark: the ceiling helps honest people, and stops nobody else.

use axum::http::HeaderMap;
use kernel::{Code, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A level of the Law on Guarding State Secrets, or below all.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// 内部
    #[default]
    Internal,
    /// 秘密
    Confidential,
    /// 机密
    Secret,
    /// 绝密
    TopSecret,
}

/// The header in which a sender says it.
pub const HEADER: &str = "security-classification";

impl Classification {
    fn of_word(word: &str) -> Option<Self> {
        serde_json::from_value(word.into()).ok()
    }

    /// What the mark of a text says: the highest level before a star.
    pub fn of_text(text: &str) -> Option<Self> {
        let mut found = None;
        let mut before = [' '; 2];
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            if matches!(c, '★' | '☆') {
                let level = match before {
                    ['秘', '密'] => Some(Self::Confidential),
                    ['机', '密'] => Some(Self::Secret),
                    ['绝', '密'] => Some(Self::TopSecret),
                    _ => None,
                };
                found = found.max(level);
            }
            before = [before[1], c];
        }
        found
    }

    /// Whether what a request says of itself may enter.
    pub(crate) fn admits(self, headers: &HeaderMap) -> Result<(), Refusal> {
        for said in headers.get_all(HEADER) {
            self.admits_word(said.to_str().ok().and_then(Self::of_word))?;
        }
        Ok(())
    }

    fn admits_word(self, said: Option<Self>) -> Result<(), Refusal> {
        let said =
            said.ok_or_else(|| Refusal::new(Code::BadField).detail("Security-Classification"))?;
        if said > self { Err(Code::AboveCeiling.into()) } else { Ok(()) }
    }

    /// Whether a text may enter.
    pub(crate) fn admits_text(self, text: &str) -> bool {
        Self::of_text(text).is_none_or(|level| level <= self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_level_and_a_star() {
        use Classification::{Confidential, Secret, TopSecret};
        for (text, level) in [
            ("机密★1年", Some(Secret)),
            ("绝 密 ★ 30年", Some(TopSecret)),
            ("秘密☆", Some(Confidential)),
            ("秘密★5年,附件机密★", Some(Secret)),
            ("说的是保密工作", None),
            ("秘密工作不力", None),
            ("★★★", None),
            ("密★", None),
            ("", None),
        ] {
            assert_eq!(Classification::of_text(text), level, "{text}");
        }
        assert!(Confidential.admits_text("秘密★") && !Confidential.admits_text("机密★"));
    }
}
