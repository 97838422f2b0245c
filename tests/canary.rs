//! 暗记 Marked secrets: the forms in which one could lie about, and the places where they
//! are looked for: files, what is compressed in them, core images of running processes.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    fs,
    io::Read,
    os::unix::fs::FileExt,
    path::Path,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use rustix::process::{Pid, Signal, kill_process};

/// One secret in every form in which it could lie about, with the form's name.
pub fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    fn each<T>(items: impl IntoIterator<Item = T>, write: impl Fn(&mut String, T)) -> Vec<u8> {
        let one = |mut all: String, item| {
            write(&mut all, item);
            all
        };
        items.into_iter().fold(String::new(), one).into_bytes()
    }
    let bytes = secret.as_bytes();
    let wide = || secret.encode_utf16();
    let listed = |between: &str| {
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        numbers.join(between).into_bytes()
    };
    let mut all = vec![
        ("text", bytes.to_vec()),
        ("hex", each(bytes, |all, byte| write!(all, "{byte:02x}").unwrap())),
        ("upper hex", each(bytes, |all, byte| write!(all, "{byte:02X}").unwrap())),
        ("UTF-16LE", wide().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", wide().flat_map(u16::to_be_bytes).collect()),
        ("JSON escapes", each(wide(), |all, unit| write!(all, "\\u{unit:04x}").unwrap())),
        ("upper JSON escapes", each(wide(), |all, unit| write!(all, "\\u{unit:04X}").unwrap())),
        ("percent", each(bytes, |all, byte| write!(all, "%{byte:02X}").unwrap())),
        ("lower percent", each(bytes, |all, byte| write!(all, "%{byte:02x}").unwrap())),
        ("HTML", each(secret.chars(), |all, char| write!(all, "&#{};", char as u32).unwrap())),
        ("numbers", listed(",")),
        ("spaced numbers", listed(", ")),
    ];
    // In base64 a text looks in three ways, by where it begins.
    for before in 0..3 {
        let padded = [&b"   "[..before], bytes].concat();
        let clean = |text: String| text.as_bytes()[[0, 2, 3][before]..text.len() - 4].to_vec();
        all.push(("base64", clean(STANDARD.encode(&padded))));
        all.push(("URL base64", clean(URL_SAFE.encode(&padded))));
    }
    all
}

/// What was looked at.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many files or processes.
    pub places: usize,
    /// How many bytes.
    pub bytes: usize,
    /// How many compressed pieces were opened in them.
    pub opened: usize,
    /// Which secrets lie where.
    pub hits: BTreeSet<(usize, String)>,
}

impl Looked {
    /// Takes another's in.
    pub fn add(&mut self, other: Self) {
        self.places += other.places;
        self.bytes += other.bytes;
        self.opened += other.opened;
        self.hits.extend(other.hits);
    }

    /// Which of the secrets lie where.
    pub fn of(&self, wanted: impl Fn(usize) -> bool) -> Vec<&(usize, String)> {
        self.hits.iter().filter(|(which, _)| wanted(*which)).collect()
    }
}

/// How many bits say which four bytes a form begins with.
const BITS: u32 = 20;
/// How much of a core image is read at once, and how much of it is read again.
const PIECE: usize = 8 << 20;
const AGAIN: usize = 64 << 10;
/// How much of a compressed piece is looked at.
const LARGEST: u64 = 64 << 20;

/// Secrets that are looked for, in every form.
pub struct Search {
    needles: Vec<(usize, &'static str, Vec<u8>)>,
    begins: Vec<u64>,
    at_hand: HashMap<u32, Vec<usize>>,
}

fn place_of(key: u32) -> (usize, u64) {
    let bit = key.wrapping_mul(0x9e37_79b1) >> (32 - BITS);
    ((bit >> 6) as usize, 1 << (bit & 63))
}

impl Search {
    /// Of these secrets.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut search =
            Self { needles: Vec::new(), begins: vec![0; 1 << (BITS - 6)], at_hand: HashMap::new() };
        for (which, secret) in secrets.into_iter().enumerate() {
            for (name, form) in forms(secret) {
                let key = u32::from_le_bytes(form[..4].try_into().unwrap());
                let (word, bit) = place_of(key);
                search.begins[word] |= bit;
                search.at_hand.entry(key).or_default().push(search.needles.len());
                search.needles.push((which, name, form));
            }
        }
        search
    }

    /// Every form begins with four bytes that are looked for all at once.
    fn plain(&self, bytes: &[u8], place: &str, looked: &mut Looked) {
        for (at, window) in bytes.windows(4).enumerate() {
            let key = u32::from_le_bytes([window[0], window[1], window[2], window[3]]);
            let (word, bit) = place_of(key);
            if self.begins[word] & bit == 0 {
                continue;
            }
            for needle in self.at_hand.get(&key).into_iter().flatten() {
                let (which, name, form) = &self.needles[*needle];
                if bytes[at..].starts_with(form) {
                    looked.hits.insert((*which, format!("{place} ({name})")));
                }
            }
        }
    }

    /// Bytes, and what is compressed in them: gzip and zlib wherever their first bytes are,
    /// deflate without either at the beginning.
    pub fn bytes(&self, bytes: &[u8], place: &str, looked: &mut Looked) {
        self.plain(bytes, place, looked);
        looked.bytes += bytes.len();
        for at in 0..bytes.len().saturating_sub(8) {
            let rest = &bytes[at..];
            let inside = match rest {
                [0x1f, 0x8b, 8, ..] => inflated(GzDecoder::new(rest)),
                [0x78, 1 | 0x5e | 0x9c | 0xda, ..] => inflated(ZlibDecoder::new(rest)),
                _ if at == 0 => inflated(DeflateDecoder::new(rest)),
                _ => continue,
            };
            // Shorter than any form is no finding, and much that is not compressed.
            if inside.len() >= 8 {
                looked.opened += 1;
                self.plain(&inside, &format!("{place}, opened at {at}"), looked);
            }
        }
    }

    /// Every file below a folder.
    pub fn folder(&self, folder: &Path) -> Looked {
        let (mut looked, mut open) = (Looked::default(), vec![folder.to_owned()]);
        while let Some(next) = open.pop() {
            for item in fs::read_dir(&next).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                self.file(&path, &mut looked);
            }
        }
        looked
    }

    /// One file.
    pub fn file(&self, path: &Path, looked: &mut Looked) {
        let Ok(bytes) = fs::read(path) else { return };
        looked.places += 1;
        self.bytes(&bytes, &path.display().to_string(), looked);
    }

    /// The core image of a process: all that it may read, while it stands still.
    pub fn core(&self, process: u32, place: &str) -> Looked {
        let pid = Pid::from_raw(process.cast_signed()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let mut looked = Looked { places: 1, ..Looked::default() };
        let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
        for (mut from, to) in readable(process) {
            while from < to {
                let mut piece = vec![0; PIECE.min(usize::try_from(to - from).unwrap())];
                let read = memory.read_at(&mut piece, from).unwrap_or(0);
                self.bytes(&piece[..read], place, &mut looked);
                // A page that is not there is passed over.
                let next = from + if read == 0 { 4096 } else { read as u64 };
                from = if next < to && read > 2 * AGAIN { next - AGAIN as u64 } else { next };
            }
        }
        kill_process(pid, Signal::CONT).unwrap();
        looked
    }
}

/// What comes out until the end or the first fault.
fn inflated(reader: impl Read) -> Vec<u8> {
    let mut inside = Vec::new();
    let _ = reader.take(LARGEST).read_to_end(&mut inside);
    inside
}

/// The readable mappings of a process; those that touch are one.
fn readable(process: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut all: Vec<(u64, u64)> = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        // The kernel's own pages are not read by this way.
        if !rights.starts_with('r') || line.contains("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        match all.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => all.push((from, to)),
        }
    }
    all
}
