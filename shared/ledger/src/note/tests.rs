use proptest::prelude::*;

use super::*;

fn log() -> NoteSigner {
    NoteSigner::of_seed("liandong.example/log/dddddddd/1", Kind::Note, &[1; 32]).unwrap()
}

fn witness(seed: u8) -> NoteSigner {
    NoteSigner::of_seed(&format!("liandong.example/w{seed}"), Kind::Cosignature, &[seed; 32])
        .unwrap()
}

fn note() -> Note {
    let text = "liandong.example/log/dddddddd/1\n3\nAAAA\n".to_owned();
    let lines = vec![log().sign(&text, 0), witness(2).sign(&text, 1_700_000_000)];
    Note { text, lines }
}

#[test]
fn a_note_comes_back_and_says_who_signed() {
    let written = note().to_string();
    assert_eq!(Note::parse(&written).unwrap(), note());
    let known = [log().verifier(), witness(2).verifier(), witness(3).verifier()];
    let signed = note().verify(&known).unwrap();
    assert_eq!(signed, [(log().verifier(), 0), (witness(2).verifier(), 1_700_000_000)]);
    assert_eq!(note().verify(&[witness(3).verifier()]), Err(Bad::Unsigned));
}

#[test]
fn a_key_has_one_spelling() {
    for key in [log().verifier(), witness(2).verifier()] {
        let text = key.to_string();
        assert_eq!(Verifier::parse(&text).unwrap(), key);
        let other = text.replacen(&key.id(), "00000000", 1);
        assert_eq!(Verifier::parse(&other), Err(Bad::Key("its id")));
        assert!(Verifier::parse(&text.replacen('+', " ", 1)).is_err());
    }
    assert!(NoteSigner::of_seed("a b", Kind::Note, &[1; 32]).is_err());
    assert!(NoteSigner::of_seed("a+b", Kind::Note, &[1; 32]).is_err());
    assert!(NoteSigner::of_seed("", Kind::Note, &[1; 32]).is_err());
}

/// Keys of small order: a signature of noughts holds under them for any text.
#[test]
fn a_weak_key_is_no_key() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for weak in [identity, [0; 32]] {
        assert_eq!(Verifier::new("a", Kind::Note, &weak), Err(Bad::Key("weak")));
    }
}

#[test]
fn one_wrong_signature_of_a_known_key_spoils_the_note() {
    let mut bad = note();
    bad.lines[1].signature[20] ^= 1;
    let known = [log().verifier(), witness(2).verifier()];
    assert_eq!(bad.verify(&known), Err(Bad::Signature));
    // Whoever does not know the witness, does not mind.
    assert_eq!(bad.verify(&known[..1]).unwrap().len(), 1);
    let mut other = note();
    other.text = other.text.replace('3', "4");
    assert_eq!(other.verify(&known), Err(Bad::Signature));
}

#[test]
fn what_is_no_note_is_refused() {
    let good = note().to_string();
    for bad in [
        String::new(),
        "\n\n".into(),
        good.trim_end().to_owned(),
        good.replace("\n\n", "\n"),
        good.replace('\u{2014}', "-"),
        format!("{good}\n"),
        good.replace("AAAA", "AA\tAA"),
        good.replace("AAAA", &"A".repeat(LONGEST)),
    ] {
        assert!(Note::parse(&bad).is_err(), "{bad:?}");
    }
}

proptest! {
    /// Whatever comes: an answer, and what is read is written as it was.
    #[test]
    fn nothing_panics_and_what_is_read_has_one_spelling(text in ".{0,200}\n\n(\u{2014} [a-z]{1,5} [A-Za-z0-9+/]{8,16}={0,2}\n){0,3}") {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(&note.to_string(), &text);
        }
        let _ = Verifier::parse(&text);
    }

    #[test]
    fn any_changed_byte_is_seen(at in 0usize..400, bit in 0u8..7) {
        let mut bytes = note().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let known = [log().verifier(), witness(2).verifier()];
        let read = String::from_utf8(bytes).ok().and_then(|text| Note::parse(&text).ok());
        let signed = read.map_or(0, |note| note.verify(&known).map_or(0, |signed| signed.len()));
        prop_assert!(signed < 2);
    }
}
