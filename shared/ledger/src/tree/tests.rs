use std::{cell::RefCell, collections::HashMap, convert::Infallible};

use proptest::prelude::*;

use super::*;

/// A tree as RFC 6962, 2.1 writes it down.
fn written(leaves: &[Node]) -> Node {
    match leaves {
        [] => Sha256::of(&[]),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            Sha256::node(&written(left), &written(right))
        }
    }
}

/// Every node that was ever whole.
#[derive(Default)]
struct All(RefCell<HashMap<(u32, u64), Node>>);

impl Nodes for All {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Node, Infallible> {
        Ok(self.0.borrow()[&(level, index)])
    }
}

fn leaves(many: u64) -> Vec<Node> {
    (0..many).map(|n| Sha256::leaf(&n.to_be_bytes())).collect()
}

fn grown(leaves: &[Node]) -> (Edge, All) {
    let (mut edge, all) = (Edge::default(), All::default());
    for leaf in leaves {
        edge.push::<Sha256>(*leaf, |level, index, node| {
            assert!(all.0.borrow_mut().insert((level, index), node).is_none());
        });
    }
    (edge, all)
}

#[test]
fn every_root_is_the_one_that_the_rfc_says() {
    let leaves = leaves(140);
    for size in 0..=leaves.len() {
        let (edge, all) = grown(&leaves[..size]);
        let said = written(&leaves[..size]);
        assert_eq!(edge.root::<Sha256>(), said, "{size}");
        assert_eq!(root::<Sha256, _>(&all, size as u64).unwrap(), said, "{size}");
        assert_eq!(Edge::of(edge.size(), edge.peaks().to_vec()), Some(edge));
    }
    assert_eq!(Edge::of(3, vec![leaves[0]]), None);
}

#[test]
fn every_leaf_is_proven_in_every_tree() {
    let leaves = leaves(70);
    let (_, all) = grown(&leaves);
    for size in 1..=70 {
        let root = root::<Sha256, _>(&all, size).unwrap();
        for index in 0..size {
            let proof = inclusion::<Sha256, _>(&all, index, size).unwrap().unwrap();
            let leaf = &leaves[usize::try_from(index).unwrap()];
            assert!(includes::<Sha256>(leaf, index, size, &root, &proof), "{index} in {size}");
            for other in [index + 1, index ^ 1, size] {
                let fits = other != index && includes::<Sha256>(leaf, other, size, &root, &proof);
                assert!(!fits, "{index} as {other} in {size}");
            }
        }
        assert_eq!(inclusion::<Sha256, _>(&all, size, size).unwrap(), None);
    }
}

#[test]
fn every_tree_begins_with_every_older_one() {
    let leaves = leaves(70);
    let (_, all) = grown(&leaves);
    let roots: Vec<Node> = (0..=70).map(|size| root::<Sha256, _>(&all, size).unwrap()).collect();
    for new in 0..=70u64 {
        for old in 0..=new {
            let proof = consistency::<Sha256, _>(&all, old, new).unwrap().unwrap();
            let at = |size: u64| (size, &roots[usize::try_from(size).unwrap()]);
            assert!(extends::<Sha256>(at(old), at(new), &proof), "{old} to {new}");
            let other = Sha256::of(&[b"other"]);
            assert!(!extends::<Sha256>((old, &other), at(new), &proof), "{old} to {new}");
            assert!(!extends::<Sha256>(at(old), (new, &other), &proof) || old == 0);
        }
        assert_eq!(consistency::<Sha256, _>(&all, new + 1, new).unwrap(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A proof with a bit changed, a hash dropped, doubled or swapped proves nothing.
    #[test]
    fn no_changed_proof_holds(size in 2u64..900, at in 0u64..900, old in 1u64..900, bit in 0usize..256, which in 0usize..64, how in 0u8..4) {
        let (index, old) = (at % size, 1 + old % (size - 1));
        let leaves = leaves(size);
        let (_, all) = grown(&leaves);
        let (first, second) = (root::<Sha256, _>(&all, old).unwrap(), root::<Sha256, _>(&all, size).unwrap());
        let change = |proof: &mut Vec<Node>| {
            let Some(which) = which.checked_rem(proof.len()) else { return false };
            let before = proof.clone();
            match how {
                0 => proof[which][bit / 8] ^= 1 << (bit % 8),
                1 => drop(proof.remove(which)),
                2 => proof.insert(which, proof[which]),
                _ => proof.swap(which, 0),
            }
            *proof != before
        };
        let mut proof = inclusion::<Sha256, _>(&all, index, size).unwrap().unwrap();
        if change(&mut proof) {
            let leaf = &leaves[usize::try_from(index).unwrap()];
            prop_assert!(!includes::<Sha256>(leaf, index, size, &second, &proof));
        }
        let mut proof = consistency::<Sha256, _>(&all, old, size).unwrap().unwrap();
        if change(&mut proof) {
            prop_assert!(!extends::<Sha256>((old, &first), (size, &second), &proof));
        }
    }
}
