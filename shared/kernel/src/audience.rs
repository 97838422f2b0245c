//! Who may read an entry, and the lanes that this makes.
//!
//! The subject on the wire names the audience, never the matter, because a
//! reader's filter can only say "this", not "all but that".

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    id::{OfficeId, Tier},
    spelled::spelled,
};

/// Who may read an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// The origin alone.
    Own,
    /// The origin's parent, which is named.
    Up(OfficeId),
    /// The direct children of the named office, which is the origin.
    Down(OfficeId),
    /// One named office.
    To(OfficeId),
    /// The city and its districts.
    Peers,
    /// Every office; issued by the city only.
    All,
}

impl Audience {
    /// Reads the form of [`Display`](fmt::Display).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "own" => return Some(Self::Own),
            "peers" => return Some(Self::Peers),
            "all" => return Some(Self::All),
            _ => {}
        }
        let (word, office) = text.split_once('-')?;
        let office = OfficeId::parse(office)?;
        match word {
            "up" => Some(Self::Up(office)),
            "down" => Some(Self::Down(office)),
            "to" => Some(Self::To(office)),
            _ => None,
        }
    }

    /// Whether `reader` (of `tier`, below `parent`) reads this lane of `origin`.
    pub fn is_read_by(
        &self,
        origin: &OfficeId,
        reader: &OfficeId,
        tier: Tier,
        parent: Option<&OfficeId>,
    ) -> bool {
        if origin == reader {
            return false;
        }
        match self {
            Self::Own => false,
            Self::Up(office) | Self::To(office) => office == reader,
            Self::Down(office) => Some(office) == parent,
            Self::Peers => tier != Tier::Township,
            Self::All => true,
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Up(office) => write!(f, "up-{office}"),
            Self::Down(office) => write!(f, "down-{office}"),
            Self::To(office) => write!(f, "to-{office}"),
            Self::Peers => f.write_str("peers"),
            Self::All => f.write_str("all"),
        }
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        spelled(deserializer, "not an audience", Self::parse)
    }
}

/// The first word of a subject: open families or confidential ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Root {
    /// Open to every audience.
    Ev,
    /// Confidential: only `to-` and `up-`.
    Cf,
}

impl Root {
    /// The root as a subject's first word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ev => "ev",
            Self::Cf => "cf",
        }
    }
}

/// One dense counter: all entries of one origin, root and audience.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lane {
    /// The office whose log it is.
    pub origin: OfficeId,
    /// The root.
    pub root: Root,
    /// The audience.
    pub audience: Audience,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.root.as_str(), self.origin, self.audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_audience_reads_back() {
        for text in ["own", "peers", "all", "up-ab12cd34", "down-ab12cd34", "to-ab12cd34"] {
            assert_eq!(Audience::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "to-", "to-x", "upward", "to-ab12cd34-5", "down"] {
            assert_eq!(Audience::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_township_reads_what_is_for_it_and_nothing_else() {
        let id = |text| OfficeId::parse(text).unwrap();
        let (city, district, town) = (id("cccccccc"), id("dddddddd"), id("tttttttt"));
        let reads = |audience: Audience, origin: &OfficeId| {
            audience.is_read_by(origin, &town, Tier::Township, Some(&district))
        };
        assert!(reads(Audience::All, &city));
        assert!(reads(Audience::To(town.clone()), &district));
        assert!(reads(Audience::Down(district.clone()), &district));
        assert!(!reads(Audience::Peers, &district));
        assert!(!reads(Audience::Up(city.clone()), &district));
        assert!(!reads(Audience::Down(city.clone()), &city));
        assert!(!reads(Audience::Own, &district));
    }
}
