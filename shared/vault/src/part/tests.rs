//! Parts: what opens, and by which name what does not is refused.

use kernel::OfficeId;
use proptest::prelude::*;

use super::*;

fn entry(sequence: u64) -> EntryRef {
    EntryRef { origin: OfficeId::parse("dddddddd").unwrap(), epoch: 1, sequence }
}

fn key(scope: &str, byte: u8) -> ScopeKey {
    ScopeKey::of(Scope::parse(scope).unwrap(), [byte; 32])
}

fn sealed(content: &[u8]) -> (SealedPart, Vec<u8>) {
    let at = entry(7);
    let place = Place { entry: &at, part: "content" };
    seal(&place, &key("case:x#1", 5), content, &Entropy::System).unwrap()
}

fn opened(
    at: &EntryRef,
    part: &str,
    key: &ScopeKey,
    (header, ciphertext): (&SealedPart, &[u8]),
) -> Result<Vec<u8>, Broken> {
    open(&Place { entry: at, part }, key, header, ciphertext).map(|content| content.to_vec())
}

#[test]
fn a_part_opens_at_its_place_under_its_key() {
    let long = vec![7; 70_000];
    for content in [&b""[..], b"x", "举报内容".as_bytes(), &long] {
        let (header, ciphertext) = sealed(content);
        let text = serde_json::to_string(&header).unwrap();
        let header: SealedPart = serde_json::from_str(&text).unwrap();
        let came = opened(&entry(7), "content", &key("case:x#1", 5), (&header, &ciphertext));
        assert_eq!(came.as_deref(), Ok(content));
    }
}

#[test]
fn what_was_moved_swapped_cut_or_rekeyed_is_refused_by_name() {
    let own = key("case:x#1", 5);
    let (header, ciphertext) = sealed("张某某住址".as_bytes());
    let (other, elsewhere) = sealed("李某某电话".as_bytes());
    let at = entry(7);
    let refused = |at: &EntryRef, part: &str, key: &ScopeKey, header: &SealedPart, bytes: &[u8]| {
        opened(at, part, key, (header, bytes)).unwrap_err()
    };
    assert_eq!(refused(&entry(8), "content", &own, &header, &ciphertext), Broken::Moved);
    assert_eq!(refused(&at, "identity", &own, &header, &ciphertext), Broken::Moved);
    assert_eq!(refused(&at, "content", &own, &header, &elsewhere), Broken::Swapped);
    assert_eq!(refused(&at, "content", &own, &header, &ciphertext[1..]), Broken::Truncated);
    for wrong in [key("case:x#1", 6), key("case:x#2", 5), key("subject:x#1", 5)] {
        assert_eq!(refused(&at, "content", &wrong, &header, &ciphertext), Broken::WrongKey);
    }
    // Another's wrap, under the same scope key, holds another part key.
    let rekeyed = SealedPart { wrap: other.wrap.clone(), ..header.clone() };
    assert_eq!(refused(&at, "content", &own, &rekeyed, &ciphertext), Broken::Rekeyed);
    let rekeyed = SealedPart { commitment: other.commitment, ..rekeyed };
    assert_eq!(refused(&at, "content", &own, &rekeyed, &ciphertext), Broken::Moved);
}

#[test]
fn lengths_show_in_buckets_only() {
    let sizes: Vec<u64> =
        [0, 1, 252, 253, 1020, 1021, 65_532, 65_533].map(|n| sealed(&vec![0; n]).0.size).into();
    let tag = TAG as u64;
    let buckets = [256, 256, 256, 512, 1024, 2048, 65_536, 131_072];
    assert_eq!(sizes, buckets.map(|bucket| bucket + tag));
    assert_eq!(
        seal(
            &Place { entry: &entry(1), part: "content" },
            &key("case:x#1", 5),
            &vec![0; LARGEST + 1],
            &Entropy::System
        )
        .unwrap_err(),
        Broken::TooLarge
    );
}

#[test]
fn the_same_content_twice_looks_like_two() {
    let (one, two) = (sealed(b"again"), sealed(b"again"));
    assert_ne!(one.1, two.1);
    assert_ne!((one.0.commitment, one.0.wrap), (two.0.commitment, two.0.wrap));
}

#[test]
fn a_header_of_an_unknown_suite_or_with_a_member_more_is_not_read() {
    let text = serde_json::to_string(&sealed(b"x").0).unwrap();
    for bent in [
        text.replace("intl-1", "intl-2"),
        text.replace("\"size\"", "\"more\":1,\"size\""),
        text.replace("case:x#1", "case:x#01"),
    ] {
        assert_ne!(bent, text);
        assert!(serde_json::from_str::<SealedPart>(&bent).is_err(), "{bent}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_comes_back_and_no_bit_can_change(
        content in proptest::collection::vec(any::<u8>(), 0..3000),
        at in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let (header, mut ciphertext) = sealed(&content);
        let own = key("case:x#1", 5);
        let came = opened(&entry(7), "content", &own, (&header, &ciphertext));
        prop_assert_eq!(came, Ok(content));
        let at = at.index(ciphertext.len());
        ciphertext[at] ^= 1 << bit;
        let came = opened(&entry(7), "content", &own, (&header, &ciphertext));
        prop_assert_eq!(came, Err(Broken::Swapped));
        // Also if whoever changed it made a new header for it.
        let header = SealedPart { hash: Hash::of(&[&ciphertext]), ..header };
        let came = opened(&entry(7), "content", &own, (&header, &ciphertext));
        prop_assert_eq!(came, Err(Broken::Moved));
    }
}
