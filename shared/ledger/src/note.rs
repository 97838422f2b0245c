//! Signed notes (C2SP signed-note): a text, and lines with signatures below it.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::tree::{Digest, Sha256};

/// The longest note, in bytes, and the most signatures, that are read.
pub const LONGEST: usize = 64 * 1024;
const MOST: usize = 64;

/// What kind of signature it is, by its byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Ed25519 over the text.
    Note,
    /// cosignature/v1: a time and Ed25519 over it and the text.
    Cosignature,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosignature => 4,
        }
    }
}

/// Why something is not what it should be. Says nothing of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// It is not a note.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// It is no key, or one that no signature may be trusted of.
    #[error("not a key: {0}")]
    Key(&'static str),
    /// A signature under a known key does not hold.
    #[error("a signature under a known key does not hold")]
    Signature,
    /// Nobody who is known has signed it.
    #[error("nobody who is known has signed it")]
    Unsigned,
    /// It is no checkpoint, proof or request.
    #[error("malformed: {0}")]
    Form(&'static str),
}

/// A public key with its name: `name+id+base64(kind || key)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    kind: Kind,
    key: VerifyingKey,
}

/// Whether a text may be a key's name.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, kind: Kind, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::of(&[name.as_bytes(), b"\n", &[kind.byte()], key.as_bytes()]);
    [hash[0], hash[1], hash[2], hash[3]]
}

impl Verifier {
    /// A key under a name. A weak one is refused: anything is signed by it.
    pub fn new(name: &str, kind: Kind, key: &[u8; 32]) -> Result<Self, Bad> {
        if !is_name(name) {
            return Err(Bad::Key("its name"));
        }
        let key = VerifyingKey::from_bytes(key).map_err(|_| Bad::Key("no point of the curve"))?;
        if key.is_weak() {
            return Err(Bad::Key("weak"));
        }
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Result<Self, Bad> {
        let shape = || Bad::Key("name+id+key");
        let (name, rest) = text.split_once('+').ok_or_else(shape)?;
        let (id, key) = rest.split_once('+').ok_or_else(shape)?;
        let bytes = BASE64.decode(key).map_err(|_| shape())?;
        let (kind, key) = match bytes.split_first() {
            Some((1, key)) => (Kind::Note, key),
            Some((4, key)) => (Kind::Cosignature, key),
            _ => return Err(Bad::Key("of a kind that is not known")),
        };
        let verifier = Self::new(name, kind, key.try_into().map_err(|_| shape())?)?;
        if verifier.id() == id { Ok(verifier) } else { Err(Bad::Key("its id")) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of which kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The key itself.
    pub fn key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    fn id_bytes(&self) -> [u8; 4] {
        key_id(&self.name, self.kind, &self.key)
    }

    /// Its id, eight hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id_bytes()))
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, self.id(), BASE64.encode(key))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that signs notes under a name.
pub struct NoteSigner {
    name: String,
    kind: Kind,
    key: SigningKey,
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.name)
    }
}

impl NoteSigner {
    /// From the 32 bytes of its seed.
    pub fn of_seed(name: &str, kind: Kind, seed: &[u8; 32]) -> Result<Self, Bad> {
        let key = SigningKey::from_bytes(seed);
        Verifier::new(name, kind, key.verifying_key().as_bytes())?;
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// Its public half.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), kind: self.kind, key: self.key.verifying_key() }
    }

    /// The line that signs a text; a cosignature says the seconds since 1970.
    pub fn sign(&self, text: &str, seconds: u64) -> Line {
        let signature = match self.kind {
            Kind::Note => self.key.sign(text.as_bytes()).to_bytes().to_vec(),
            Kind::Cosignature => {
                let signature = self.key.sign(cosigned(seconds, text).as_bytes());
                [&seconds.to_be_bytes()[..], &signature.to_bytes()].concat()
            }
        };
        Line { name: self.name.clone(), id: self.verifier().id_bytes(), signature }
    }
}

/// What a cosignature is over.
fn cosigned(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// A signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl Line {
    /// Reads one without its newline.
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = BASE64.decode(signature).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !signature.is_empty()).then(|| Self {
            name: name.to_owned(),
            id: *id,
            signature: signature.to_vec(),
        })
    }

    /// Whose name stands on it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The seconds since 1970 that it says it was made at, if it has the shape of a
    /// cosignature; nothing is verified.
    pub fn says_when(&self) -> Option<u64> {
        let time = self.signature.first_chunk::<8>();
        time.filter(|_| self.signature.len() == 72).map(|time| u64::from_be_bytes(*time))
    }

    fn is_by(&self, verifier: &Verifier) -> bool {
        self.name == verifier.name && self.id == verifier.id_bytes()
    }

    /// Whether it holds under a key: the time of a cosignature, nought of another.
    fn holds(&self, verifier: &Verifier, text: &str) -> Option<u64> {
        let strict = |message: &[u8], signature: &[u8]| {
            let signature = Signature::from_slice(signature).ok()?;
            verifier.key.verify_strict(message, &signature).ok()
        };
        match verifier.kind {
            Kind::Note => strict(text.as_bytes(), &self.signature).map(|()| 0),
            Kind::Cosignature => {
                let (time, signature) = self.signature.split_first_chunk::<8>()?;
                let seconds = u64::from_be_bytes(*time);
                i64::try_from(seconds).ok()?;
                strict(cosigned(seconds, text).as_bytes(), signature).map(|()| seconds)
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_slice(), &self.signature].concat();
        writeln!(f, "\u{2014} {} {}", self.name, BASE64.encode(bytes))
    }
}

/// A note as it was read; nothing of it is to be trusted before it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, with its last newline.
    pub text: String,
    /// The signatures.
    pub lines: Vec<Line>,
}

/// Who has signed a note, of those who are known; with a cosignature's seconds.
pub type Signed = Vec<(Verifier, u64)>;

impl Note {
    /// Reads a note.
    pub fn parse(note: &str) -> Result<Self, Bad> {
        if note.len() > LONGEST {
            return Err(Bad::Note("too long"));
        }
        if note.contains(|c: char| c.is_ascii_control() && c != '\n') {
            return Err(Bad::Note("a control character"));
        }
        let (text, below) = note.rsplit_once("\n\n").ok_or(Bad::Note("no blank line"))?;
        let below = below.strip_suffix('\n').ok_or(Bad::Note("no newline at its end"))?;
        let lines: Option<Vec<Line>> = below.split('\n').map(Line::parse).collect();
        let lines = lines.ok_or(Bad::Note("a signature line"))?;
        if lines.len() > MOST {
            return Err(Bad::Note("too many signatures"));
        }
        Ok(Self { text: format!("{text}\n"), lines })
    }

    /// The same text with those lines only that hold under these keys, one for each: what
    /// somebody else added is not passed on.
    #[must_use]
    pub fn only(&self, known: &[Verifier]) -> Self {
        let line_of = |verifier: &Verifier| {
            let mut by = self.lines.iter().filter(|line| line.is_by(verifier));
            by.find(|line| line.holds(verifier, &self.text).is_some()).cloned()
        };
        Self { text: self.text.clone(), lines: known.iter().filter_map(line_of).collect() }
    }

    /// Those of the known keys that signed it. One signature under a known key that does not
    /// hold makes the note worthless.
    pub fn verify(&self, known: &[Verifier]) -> Result<Signed, Bad> {
        let mut signed: Signed = Vec::new();
        for line in &self.lines {
            let Some(verifier) = known.iter().find(|verifier| line.is_by(verifier)) else {
                continue;
            };
            let seconds = line.holds(verifier, &self.text).ok_or(Bad::Signature)?;
            if !signed.iter().any(|(by, _)| by == verifier) {
                signed.push((verifier.clone(), seconds));
            }
        }
        if signed.is_empty() { Err(Bad::Unsigned) } else { Ok(signed) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.lines.iter().try_for_each(|line| line.fmt(f))
    }
}

#[cfg(test)]
mod tests;
