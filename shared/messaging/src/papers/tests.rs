use kernel::{Code, Entropy, OfficeId, clock::wall};

use super::*;

/// Papers in a folder that is gone with them.
struct Here(Papers);

impl std::ops::Deref for Here {
    type Target = Papers;

    fn deref(&self) -> &Papers {
        &self.0
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.folder().parent().unwrap());
    }
}

fn papers() -> Here {
    let name = format!("liandong-papers-{}", Entropy::System.uuid());
    Here(Papers::at(std::env::temp_dir().join(name).join("papers")))
}

fn sender() -> Sender {
    Sender::office(&OfficeId::parse("dddddddd").unwrap())
}

const DAY: i64 = 24 * 3_600_000;

async fn bring(papers: &Papers, from: &Sender, hash: &Hash, bytes: &[u8]) -> Arrival {
    let mut arrival = papers.resume(from, hash).await.unwrap().unwrap();
    arrival.write(bytes).await.unwrap();
    arrival
}

#[tokio::test]
async fn what_came_before_a_cut_is_not_asked_for_again() {
    let (papers, from) = (papers(), sender());
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let hash = Hash::of(&[&bytes]);
    let (last, parts) = (&bytes[90_000..], bytes[..90_000].chunks(30_000));
    for (before, part) in (0..).step_by(30_000).zip(parts) {
        assert_eq!(papers.held(&from, &hash).await.unwrap(), before);
        let have = bring(&papers, &from, &hash, part).await.pause().await.unwrap();
        assert_eq!(have, before + 30_000);
        assert!(!papers.has(&hash), "some bytes are not a paper");
    }
    let whole = bring(&papers, &from, &hash, last).await;
    let kept = whole.finish(Some(&hash)).await.unwrap();
    assert_eq!(kept, Some((hash, bytes.len() as u64)));
    assert_eq!(papers.get(&hash).await.unwrap(), Some(bytes));
    assert_eq!(papers.count_unfinished().unwrap(), (0, 0));
}

#[tokio::test]
async fn a_whole_that_is_something_else_never_becomes_the_paper_and_spoils_nobody_elses() {
    let (papers, from) = (papers(), sender());
    let other = Sender::office(&OfficeId::parse("eeeeeeee").unwrap());
    let hash = Hash::of(&[b"right"]);
    let half = bring(&papers, &other, &hash, b"ri").await.pause().await.unwrap();
    let wrong = bring(&papers, &from, &hash, b"wrong").await;
    assert_eq!(wrong.finish(Some(&hash)).await.unwrap(), None);
    assert_eq!(papers.held(&from, &hash).await.unwrap(), 0, "it is thrown away");
    assert!(!papers.has(&hash));
    assert_eq!(half, 2);
    let right = bring(&papers, &other, &hash, b"ght").await;
    assert_eq!(right.finish(Some(&hash)).await.unwrap(), Some((hash, 5)));
}

#[tokio::test]
async fn a_spoiled_paper_is_healed_by_its_bytes() {
    let papers = papers();
    let hash = papers.keep(b"paper".to_vec()).await.unwrap();
    assert_eq!(papers.check(&hash).await.unwrap(), Some(5));
    fs::write(papers.path(&hash), b"rotten").unwrap();
    assert_eq!(papers.check(&hash).await.unwrap(), None);
    assert!(!papers.has(&hash), "it is set aside");
    papers.keep(b"paper".to_vec()).await.unwrap();
    assert_eq!(papers.get(&hash).await.unwrap().as_deref(), Some(&b"paper"[..]));
}

#[tokio::test]
async fn whoever_comes_again_on_another_connection_goes_on_at_once() {
    let (papers, from) = (papers(), sender());
    let hash = Hash::of(&[b"paper"]);
    let mut first = bring(&papers, &from, &hash, b"pa").await;
    let again = tokio::spawn({
        let (papers, from) = (papers.0.clone(), from.clone());
        async move { papers.resume(&from, &hash).await.unwrap().unwrap() }
    });
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), first.superseded());
    told.await.expect("the one at work is told");
    assert!(!again.is_finished(), "two never write at once");
    assert_eq!(first.pause().await.unwrap(), 2);
    assert_eq!(again.await.unwrap().have(), 2);
}

#[tokio::test]
async fn unfinished_papers_are_few_and_go_after_a_week() {
    let (papers, from) = (papers(), sender());
    let hashes: Vec<Hash> = (0..17_u8).map(|n| Hash::of(&[&[n]])).collect();
    for hash in &hashes[..16] {
        bring(&papers, &from, hash, b"x").await.pause().await.unwrap();
    }
    let more = papers.resume(&from, &hashes[16]).await.unwrap();
    assert_eq!(more.err(), Some(Code::PapersUnfinished));
    assert!(papers.resume(&from, &hashes[3]).await.unwrap().is_ok(), "these go on");
    let old = |hash: &Hash, days: u64| {
        let file = fs::File::options().append(true).open(papers.of(&from, hash)).unwrap();
        let ago = std::time::Duration::from_hours(24 * days);
        file.set_modified(file.metadata().unwrap().modified().unwrap() - ago).unwrap();
    };
    old(&hashes[5], 2);
    assert!(papers.resume(&from, &hashes[16]).await.unwrap().is_ok());
    assert_eq!(papers.held(&from, &hashes[5]).await.unwrap(), 0, "it was idle for two days");
    assert_eq!(papers.sweep(wall()).await.unwrap(), 0);
    old(&hashes[7], 8);
    assert_eq!(papers.sweep(wall()).await.unwrap(), 1);
    let later = kernel::Timestamp(wall().0 + 8 * DAY);
    let held = papers.resume(&from, &hashes[8]).await.unwrap().unwrap();
    assert_eq!(papers.sweep(later).await.unwrap(), 14, "all but the one that is being written");
    drop(held);
    let whole = papers.begin().await.unwrap();
    assert_eq!(papers.count_unfinished().unwrap().0, 2);
    drop(whole);
    assert_eq!(papers.count_unfinished().unwrap().0, 1, "a whole that broke off leaves nothing");
}
