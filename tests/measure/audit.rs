//! What checking a log costs beside reading it: the auditor's check of an export without the
//! entries' signatures against reading and hashing the same bytes once.

use std::{fs, time::Instant};

use auditor::{
    forms::files,
    verify::{Question, verify},
};
use kernel::sign::Hash;
use tests::exported::{Folder, history};

use crate::{quantile, say};

/// Checks a log of so many entries.
pub(crate) fn measure(entries: u64) {
    let folder = Folder::new("measure-audit");
    let [city, mut district] = history();
    district.lengthen(entries);
    let size = district.entries.len() as u64;
    district.write(&folder.0, &city);
    let (mut bare, mut checked) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..5 {
        let began = Instant::now();
        bytes = 0;
        for (_, path) in files(&folder.0).unwrap() {
            let file = fs::read(path).unwrap();
            bytes += file.len();
            std::hint::black_box(Hash::of(&[&file]));
        }
        bare.push(began.elapsed());
        let began = Instant::now();
        let report = verify(&folder.0, &Question::default()).unwrap();
        assert!(report.broken.is_empty(), "{:?}", report.broken);
        checked.push(began.elapsed());
    }
    let (bare, checked) = (quantile(&mut bare, 0.5), quantile(&mut checked, 0.5));
    say(&format!(
        "{size} entries, {} MB: read + SHA-256 {:.2} s, check {:.2} s; ratio {:.2} (bar 0.5)",
        bytes / 1_000_000,
        bare.as_secs_f64(),
        checked.as_secs_f64(),
        bare.as_secs_f64() / checked.as_secs_f64()
    ));
}
