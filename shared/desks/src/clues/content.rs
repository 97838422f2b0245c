//! What a clue says, as it is sealed.

use domain::clue::Brief;
use kernel::{Code, Entropy, Refusal, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Whom a clue is about.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    /// 姓名
    pub name: String,
    /// 职务
    pub post: String,
    /// The person's id, if the person works at this office.
    #[serde(default)]
    pub person: String,
}

/// What a clue says.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saying {
    /// 反映对象: one group; three persons are one clue.
    pub objects: Vec<Object>,
    /// 反映的主要问题
    pub text: String,
    /// 主要证据
    #[serde(default)]
    pub evidence: Vec<String>,
}

impl Saying {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let named =
            !self.objects.is_empty() && self.objects.iter().all(|o| !o.name.trim().is_empty());
        if !named || self.text.trim().is_empty() {
            return Err(Refusal::new(Code::EmptyText).detail("objects, text"));
        }
        Ok(())
    }
}

/// What is sealed: what the clue says, what may be said of it, and so much chance that its
/// hash tells nobody anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    /// 16 bytes of chance.
    pub chance: String,
    /// What may be said of it.
    pub brief: Brief,
    /// What it says.
    pub saying: Saying,
    /// 会商纪要: what the discussion of it came to; empty before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub minutes: String,
}

/// Refuses minutes that say nothing, or are no minutes.
pub(super) fn check_minutes(minutes: &str) -> Result<(), Refusal> {
    if minutes.trim().is_empty() {
        return Err(Refusal::new(Code::EmptyText).detail("minutes"));
    }
    if minutes.chars().count() > 9000 {
        return Err(Refusal::new(Code::BadField).detail("minutes: 1 … 9000"));
    }
    Ok(())
}

impl Content {
    pub(super) fn of(brief: Brief, saying: Saying, minutes: String) -> Self {
        Self { chance: Entropy::System.uuid(), brief, saying, minutes }
    }

    /// Its bytes and their hash.
    pub(crate) fn bytes(&self) -> Result<(Zeroizing<Vec<u8>>, Hash), Refusal> {
        let bytes = Zeroizing::new(serde_json::to_vec(self).map_err(|_| Code::Internal)?);
        if bytes.len() > LARGEST {
            return Err(Code::TooLarge.into());
        }
        let hash = Hash::of(&[&bytes]);
        Ok((bytes, hash))
    }

    /// Whether it is about this person.
    pub(crate) fn is_about(&self, person: &str) -> bool {
        self.saying.objects.iter().any(|object| object.person == person)
    }

    /// The persons of this office whom it names.
    pub(super) fn persons(self) -> Vec<String> {
        let named = self.saying.objects.into_iter().map(|object| object.person);
        named.filter(|person| !person.is_empty()).collect()
    }

    /// Reads what was opened.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        // Nothing of it goes into the refusal.
        serde_json::from_slice(bytes).map_err(|_| Code::ContentDiffers.into())
    }
}

/// The longest content, in bytes; longer evidence goes on paper.
const LARGEST: usize = 256 * 1024;
