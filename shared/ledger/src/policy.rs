//! Whose signatures are enough (C2SP tlog-policy): logs, witnesses, groups of them, and the
//! quorum.

use std::collections::HashMap;

use crate::{
    checkpoint::Checkpoint,
    note::{Bad, Kind, Note, Verifier},
};

/// The most logs, witnesses and groups together.
const MOST: usize = 1024;

#[derive(Clone, Debug)]
enum Member {
    Witness(usize),
    Group(usize, Vec<String>),
}

/// A policy as an auditor pins it.
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<Verifier>,
    witnesses: Vec<Verifier>,
    members: HashMap<String, Member>,
    /// Nothing: no cosignature is needed.
    quorum: Option<String>,
}

/// What a policy says of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Who of the known witnesses has cosigned it, and when in seconds.
    pub cosigned: Vec<(String, u64)>,
    /// Whether they are enough.
    pub enough: bool,
}

const fn bad(what: &'static str) -> Bad {
    Bad::Form(what)
}

impl Policy {
    /// Reads a policy.
    pub fn parse(text: &str) -> Result<Self, Bad> {
        if text.contains(|c: char| c.is_ascii_control() && c != '\n' && c != '\t') {
            return Err(bad("a control character in the policy"));
        }
        let mut policy =
            Self { logs: vec![], witnesses: vec![], members: HashMap::new(), quorum: None };
        let mut quorum = None;
        for line in text.split('\n') {
            let words: Vec<&str> =
                line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", key] | ["log", key, _] => policy.log(key)?,
                ["witness", name, key] | ["witness", name, key, _] => policy.witness(name, key)?,
                ["group", name, many, members @ ..] => policy.group(name, many, members)?,
                ["quorum", name] if quorum.is_none() => quorum = Some(policy.quorum(name)?),
                _ => return Err(bad("a line of the policy")),
            }
        }
        policy.quorum = quorum.ok_or(bad("the policy has no quorum"))?;
        Ok(policy)
    }

    fn log(&mut self, key: &str) -> Result<(), Bad> {
        let key = Verifier::parse(key)?;
        if key.kind() != Kind::Note || self.logs.iter().any(|log| log.key() == key.key()) {
            return Err(bad("a log of the policy"));
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str) -> Result<(), Bad> {
        let key = Verifier::parse(key)?;
        let known = self.witnesses.iter().any(|witness| witness.key() == key.key());
        if key.kind() != Kind::Cosignature || known {
            return Err(bad("a witness of the policy"));
        }
        self.name(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(key);
        Ok(())
    }

    fn name(&mut self, name: &str, member: Member) -> Result<(), Bad> {
        let free = name != "none" && !self.members.contains_key(name);
        if !free || self.members.len() == MOST {
            return Err(bad("a name of the policy"));
        }
        self.members.insert(name.to_owned(), member);
        Ok(())
    }

    fn group(&mut self, name: &str, many: &str, members: &[&str]) -> Result<(), Bad> {
        let needed = match many {
            "any" => 1,
            "all" => members.len(),
            number => number.parse().map_err(|_| bad("how many of a group"))?,
        };
        // Each name stands in one group only, so that one witness counts in one way.
        let taken = |member: &str| {
            let of = |group: &Member| matches!(group, Member::Group(_, all) if all.iter().any(|one| one == member));
            self.members.values().any(of)
        };
        let known = members.iter().enumerate().all(|(at, member)| {
            self.members.contains_key(*member) && !taken(member) && !members[..at].contains(member)
        });
        if !known || !(1..=members.len()).contains(&needed) {
            return Err(bad("a group of the policy"));
        }
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.name(name, Member::Group(needed, members))
    }

    fn quorum(&self, name: &str) -> Result<Option<String>, Bad> {
        match name {
            "none" => Ok(None),
            name if self.members.contains_key(name) => Ok(Some(name.to_owned())),
            _ => Err(bad("the quorum of the policy")),
        }
    }

    /// Every key that it knows.
    pub fn keys(&self) -> Vec<Verifier> {
        self.logs.iter().chain(&self.witnesses).cloned().collect()
    }

    /// The logs that it knows.
    pub fn logs(&self) -> &[Verifier] {
        &self.logs
    }

    /// What it says of a note: a checkpoint that one of its logs signed, under its own name.
    pub fn judge(&self, note: &Note) -> Result<Judged, Bad> {
        let checkpoint = Checkpoint::parse(&note.text)?;
        let logs: Vec<Verifier> =
            self.logs.iter().filter(|log| log.name() == checkpoint.origin).cloned().collect();
        note.verify(&logs)?;
        let signed = match note.verify(&self.witnesses) {
            Ok(signed) => signed,
            Err(Bad::Unsigned) => Vec::new(),
            Err(bad) => return Err(bad),
        };
        let has = |at: usize| signed.iter().any(|(by, _)| *by == self.witnesses[at]);
        let enough = self.quorum.as_ref().is_none_or(|name| self.met(name, &has));
        let cosigned = signed.into_iter().map(|(by, at)| (by.name().to_owned(), at)).collect();
        Ok(Judged { checkpoint, cosigned, enough })
    }

    fn met(&self, name: &str, has: &impl Fn(usize) -> bool) -> bool {
        match self.members.get(name) {
            Some(Member::Witness(at)) => has(*at),
            Some(Member::Group(needed, members)) => {
                members.iter().filter(|member| self.met(member, has)).count() >= *needed
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
