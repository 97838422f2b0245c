use proptest::prelude::*;

use super::*;
use crate::tree::Sha256;

#[test]
fn a_tree_of_seventy_thousand_has_the_tiles_that_the_format_says() {
    let of = |level| Tile::all(70_000).filter(move |tile| tile.level == level);
    assert_eq!((of(0).count(), of(1).count(), of(2).count()), (274, 2, 1));
    let last: Vec<String> = (0..3).map(|level| of(level).last().unwrap().to_string()).collect();
    assert_eq!(last, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    let whole: Vec<String> = Tile::all(256).map(|tile| tile.to_string()).collect();
    assert_eq!(whole, ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(Tile::all(0).count(), 0);
    assert_eq!(Place { index: 1_234_067, width: 256 }.to_string(), "x001/x234/067");
}

#[test]
fn what_is_no_path_is_refused() {
    for bad in [
        "",
        "tile/0",
        "tile/0/1",
        "tile/0/0001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/64/000",
        "tile/00/000",
        "tile/0/001/234",
        "tile/0/x000/234",
        "tile/0/x001/x234/067/",
        "tile/0/+12",
        "tile/0/x001/23a",
        "tile/-1/000",
    ] {
        assert_eq!(Tile::parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn a_path_comes_back(level in 0u8..64, index: u64, width in 1u16..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));
    }

    #[test]
    fn any_text_has_an_answer(text in "tile/[0-9x/.p]{0,30}") {
        if let Some(tile) = Tile::parse(&text) {
            prop_assert_eq!(tile.to_string(), text);
        }
    }
}

#[test]
fn a_node_is_had_from_the_tile_below_it() {
    let nodes: Vec<Node> = (0..=255u8).map(|n| Sha256::leaf(&[n])).collect();
    assert_eq!(within::<Sha256>(&nodes, 0, 9), Some(nodes[9]));
    assert_eq!(within::<Sha256>(&nodes, 1, 3), Some(Sha256::node(&nodes[6], &nodes[7])));
    assert!(within::<Sha256>(&nodes, 8, 0).is_some() && within::<Sha256>(&nodes, 8, 1).is_none());
    assert_eq!(within::<Sha256>(&nodes[..5], 2, 1), None);
}
