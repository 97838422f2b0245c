//! A fact: the payload of an entry, read strictly.
//!
//! A [`Fact`] is for reading. The signed bytes are the truth; a fact is never
//! written out again to be verified or forwarded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    audience::{Audience, Lane, Root},
    clock::{Day, Timestamp},
    decider::Actor,
    entry::{self, Form, Malformed},
    id::{EntryRef, OfficeId},
    sign::{EventKey, Hash},
};

/// What one entry says.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Random; it also keeps the leaf hash from being guessed.
    pub id: String,
    /// Whose log, which life, which place.
    pub at: EntryRef,
    /// The event type, `cn.liandong.<family>.<name>.v<n>`.
    pub kind: String,
    /// The origin's clock at commit.
    pub recorded: Timestamp,
    /// Open or confidential.
    pub root: Root,
    /// Who may read it.
    pub audience: Audience,
    /// The dense counter in its lane, from 1.
    pub lane: u64,
    /// The stream it belongs to.
    pub stream: String,
    /// Its version in the stream, from 1; none on a copy.
    pub version: Option<u64>,
    /// On a copy for a further addressee: the sequence of the fact itself.
    pub copy_of: Option<u64>,
    /// Who did it.
    pub actor: Actor,
    /// When it was done, if that is not when it was recorded.
    pub act_date: Option<Day>,
    /// The entry that led to it.
    pub causation: Option<EntryRef>,
    /// What happened, as JSON of the type's own form.
    pub data: Box<RawValue>,
    /// The leaf hash of its entry; zero until the entry is made.
    pub hash: Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: String,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    #[serde(borrow)]
    sequence: Cow<'a, str>,
    root: Root,
    audience: Audience,
    #[serde(borrow)]
    lane: Cow<'a, str>,
    stream: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streamversion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copyof: Option<String>,
    actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actdate: Option<Day>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation: Option<EntryRef>,
    #[serde(borrow)]
    suite: Cow<'a, str>,
    #[serde(borrow)]
    datacontenttype: Cow<'a, str>,
    data: Box<RawValue>,
}

const SOURCE: &str = "//liandong/log/";

impl Fact {
    /// The lane the fact belongs to.
    pub fn lane(&self) -> Lane {
        Lane { origin: self.at.origin.clone(), root: self.root, audience: self.audience.clone() }
    }

    /// The family: the word between `cn.liandong.` and the event's name.
    pub fn family(&self) -> &str {
        let rest = self.kind.strip_prefix("cn.liandong.").unwrap_or_default();
        rest.split_once('.').map_or(rest, |(family, _)| family)
    }

    /// What happened, in the type's own form.
    pub fn read<E: DeserializeOwned>(&self) -> Result<E, serde_json::Error> {
        serde_json::from_str(self.data.get())
    }

    /// The place of the fact itself, also when this is a copy.
    pub fn original(&self) -> EntryRef {
        EntryRef { sequence: self.copy_of.unwrap_or(self.at.sequence), ..self.at.clone() }
    }

    /// Makes the fact's entry: its bytes, once and for all.
    pub fn sign(&self, key: &EventKey) -> Result<Vec<u8>, Malformed> {
        let number = |n: u64| format!("{n:012}");
        let payload = Payload {
            specversion: "1.0".into(),
            id: self.id.clone(),
            source: format!("{SOURCE}{}/{}", self.at.origin, self.at.epoch).into(),
            kind: self.kind.clone(),
            time: self.recorded,
            sequence: number(self.at.sequence).into(),
            root: self.root,
            audience: self.audience.clone(),
            lane: number(self.lane).into(),
            stream: self.stream.clone(),
            streamversion: self.version.map(number),
            copyof: self.copy_of.map(number),
            actor: self.actor.clone(),
            actdate: self.act_date,
            causation: self.causation.clone(),
            suite: "intl-1".into(),
            datacontenttype: "application/json".into(),
            data: self.data.clone(),
        };
        let bytes =
            serde_json::to_vec(&payload).map_err(|error| Malformed::Payload(error.to_string()))?;
        let entry = entry::seal(Form::Event, &bytes, key)?;
        if entry.len() > entry::MAX_ENTRY {
            return Err(Malformed::Shape("too large"));
        }
        Ok(entry)
    }

    /// Reads a verified payload. Unknown or doubled members are refused.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let bad = |why: &str| Malformed::Payload(why.to_owned());
        // Looked through once, and not again for each string.
        let text = str::from_utf8(payload).map_err(|_| bad("not UTF-8"))?;
        let read: Payload<'_> =
            serde_json::from_str(text).map_err(|error| Malformed::Payload(error.to_string()))?;
        if read.specversion != "1.0" || read.suite != "intl-1" {
            return Err(bad("unknown specversion or suite"));
        }
        let (origin, epoch) = read
            .source
            .strip_prefix(SOURCE)
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(|| bad("source"))?;
        let origin = OfficeId::parse(origin).ok_or_else(|| bad("source"))?;
        let epoch = epoch.parse().map_err(|_| bad("source"))?;
        let number = |text: &str, what: &str| {
            let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten().ok_or_else(|| bad(what))
        };
        Ok(Self {
            id: read.id,
            at: EntryRef { origin, epoch, sequence: number(&read.sequence, "sequence")? },
            kind: read.kind,
            recorded: read.time,
            root: read.root,
            audience: read.audience,
            lane: number(&read.lane, "lane")?,
            stream: read.stream,
            version: read.streamversion.map(|v| number(&v, "streamversion")).transpose()?,
            copy_of: read.copyof.map(|v| number(&v, "copyof")).transpose()?,
            actor: read.actor,
            act_date: read.actdate,
            causation: read.causation,
            data: read.data,
            hash: Hash::default(),
        })
    }

    /// Reads the fact of an own or already verified entry.
    pub fn of_entry(bytes: &[u8]) -> Result<(Self, Hash), Malformed> {
        let parts = entry::open(bytes)?;
        if parts.form != Form::Event {
            return Err(Malformed::Shape("form"));
        }
        let hash = entry::hash(bytes);
        Ok((Self { hash, ..Self::parse(parts.payload)? }, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact() -> Fact {
        Fact {
            id: "6f2b".to_owned(),
            at: EntryRef::parse("ab12cd34/1/421").unwrap(),
            kind: "cn.liandong.finding.drafted.v1".to_owned(),
            recorded: Timestamp::parse("2026-11-21T08:03:11.412Z").unwrap(),
            root: Root::Ev,
            audience: Audience::Own,
            lane: 17,
            stream: "finding/ab12cd34-x1".to_owned(),
            version: Some(1),
            copy_of: None,
            actor: Actor::system(),
            act_date: None,
            causation: None,
            data: RawValue::from_string(r#"{"event":"drafted"}"#.to_owned()).unwrap(),
            hash: Hash::default(),
        }
    }

    /// A stored entry must read back for ever: this is its exact payload.
    #[test]
    fn the_stored_form_of_an_entry_does_not_drift() {
        let key = EventKey::from_seed(&[1; 32]).unwrap();
        let entry = fact().sign(&key).unwrap();
        let payload = concat!(
            r#"{"specversion":"1.0","id":"6f2b","source":"//liandong/log/ab12cd34/1","#,
            r#""type":"cn.liandong.finding.drafted.v1","time":"2026-11-21T08:03:11.412Z","#,
            r#""sequence":"000000000421","root":"ev","audience":"own","lane":"000000000017","#,
            r#""stream":"finding/ab12cd34-x1","streamversion":"000000000001","actor":"system","#,
            r#""suite":"intl-1","datacontenttype":"application/json","data":{"event":"drafted"}}"#
        );
        assert_eq!(entry::open(&entry).unwrap().payload, payload.as_bytes());
        assert_eq!(
            entry::hash(&entry).to_string(),
            "426a2f8508df3282ceaec18cbe927d7a5898277634192e8783b94972f09c7e79"
        );
        let (read, _) = Fact::of_entry(&entry).unwrap();
        assert_eq!(read.sign(&key).unwrap(), entry);
    }

    #[test]
    fn unknown_and_doubled_members_are_refused() {
        let key = EventKey::from_seed(&[1; 32]).unwrap();
        let entry = fact().sign(&key).unwrap();
        let payload = String::from_utf8(entry::open(&entry).unwrap().payload.to_vec()).unwrap();
        for bad in [
            payload.replacen('{', r#"{"extra":1,"#, 1),
            payload.replacen('{', r#"{"id":"x","#, 1),
            payload.replace("000000000421", "421"),
            payload.replace("//liandong/log/ab12cd34/1", "//liandong/log/AB12cd34/1"),
            payload.replace(r#""1.0""#, r#""2.0""#),
        ] {
            assert!(Fact::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
