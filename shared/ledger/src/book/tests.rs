use super::*;
use crate::tree::{extends, includes};

fn leaf(number: u64) -> Node {
    Sha256::leaf(&number.to_be_bytes())
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("liandong-book-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    folder
}

/// The root by the definition of RFC 6962, 2.1.
fn by_the_book(leaves: &[Node]) -> Node {
    match leaves {
        [] => Sha256::of(&[]),
        [one] => *one,
        _ => {
            let half = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(half);
            Sha256::node(&by_the_book(left), &by_the_book(right))
        }
    }
}

#[test]
fn what_lies_on_the_disk_is_the_tree_also_when_it_is_opened_again() {
    let folder = folder("grows");
    let leaves: Vec<Node> = (0..70_000).map(leaf).collect();
    let mut book = Book::open(&folder).unwrap();
    let sizes = [1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 70_000];
    for size in sizes {
        let from = usize::try_from(book.size()).unwrap();
        book.append(leaves[from..size].iter().copied()).unwrap();
        book = Book::open(&folder).unwrap();
        assert_eq!(book.size(), size as u64);
        assert_eq!(book.root(), by_the_book(&leaves[..size]), "{size}");
    }
    let (all, root) = (book.size(), book.root());
    for size in sizes.map(|size| size as u64) {
        assert_eq!(
            book.root_at(size).unwrap(),
            Some(by_the_book(&leaves[..usize::try_from(size).unwrap()]))
        );
        let proof = book.consistency(size, all).unwrap().unwrap();
        let old = book.root_at(size).unwrap().unwrap();
        assert!(extends::<Sha256>((size, &old), (all, &root), &proof));
        let proof = book.inclusion(size - 1, all).unwrap().unwrap();
        assert!(includes::<Sha256>(&leaf(size - 1), size - 1, all, &root, &proof));
        assert_eq!(book.leaf(size - 1).unwrap(), Some(leaf(size - 1)));
    }
    assert_eq!(book.root_at(all + 1).unwrap(), None);
    assert_eq!(book.leaf(all).unwrap(), None);
    for tile in Tile::all(all) {
        let bytes = book.tile(&tile).unwrap().unwrap();
        assert_eq!(bytes.len(), usize::from(tile.width) * 32, "{tile}");
    }
    let beyond = Tile { level: 0, index: 273, width: 256 };
    assert_eq!(book.tile(&beyond).unwrap(), None);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_edge_that_is_cut_or_changed_is_made_again_from_nothing() {
    let folder = folder("edge");
    let mut book = Book::open(&folder).unwrap();
    book.append((0..700).map(leaf)).unwrap();
    let kept = fs::read(folder.join(EDGE)).unwrap();
    for (at, cut) in [(9, kept.len()), (0, kept.len()), (3, kept.len() - 32), (3, 0), (3, 7)] {
        let mut bytes = kept[..cut].to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        fs::write(folder.join(EDGE), bytes).unwrap();
        assert_eq!(Book::open(&folder).unwrap().size(), 0);
    }
    fs::write(folder.join(EDGE), kept).unwrap();
    let book = Book::open(&folder).unwrap();
    assert_eq!(book.size(), 700);
    assert_eq!(book.anew().unwrap().size(), 0);
    fs::remove_dir_all(folder).unwrap();
}
