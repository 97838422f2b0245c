//! The checker finds what is put in, and nothing in what is right.

use domain::{
    clue::{self, Authority, Brief, RankBand, Source},
    clue_case::{self, Coming},
    custody::{
        Event as Custody, Offer, OfferRef, Party, PersonSignature, ReturnReason, case_id, statement,
    },
    post::Organ,
};
use kernel::{
    EntryRef, OfficeId,
    sign::{EventKey, Hash, Signature},
};

use testkit::sealed_part;

use super::{Said, Word, told};

const CITY: &str = "aaaaaaaa";
const DISTRICT: &str = "bbbbbbbb";
const OTHER: &str = "cccccccc";
const CLUE: &str = "clue/bbbbbbbb-1";

fn party(office: &str) -> Party {
    Party { office: OfficeId::parse(office).unwrap(), organ: Organ::DisciplineOrgan }
}

fn offer_in(word: &Word) -> (u32, Offer) {
    let event = match &word.said {
        Said::Clue(clue::Event::Custody(event)) => event,
        Said::Case(clue_case::Event::Custody(event)) => event,
        _ => panic!("{word:?}"),
    };
    let Custody::Offered { turn, offer, .. } = event else { panic!("{event:?}") };
    (*turn, (**offer).clone())
}

fn signed() -> PersonSignature {
    let key = EventKey::from_seed(&[3; 32]).unwrap();
    let signature = Signature(key.sign(&statement("clue.sign", CLUE, &Hash::default()).0));
    PersonSignature { by: "p1".into(), key: key.public(), signature }
}

/// Logs as they are written.
#[derive(Clone, Default)]
struct Story {
    words: Vec<Word>,
}

impl Story {
    /// One word more; its place in `words`.
    fn says(&mut self, stream: &str, said: Said, cause: Option<usize>) -> usize {
        let origin = kernel::id::stream_owner(stream).unwrap();
        let of = |word: &&Word| word.at.origin == origin;
        let sequence = self.words.iter().filter(of).count() as u64 + 1;
        let version = self.words.iter().filter(|word| word.stream == stream).count() as u64 + 1;
        let at = EntryRef { origin, epoch: 1, sequence };
        let hash = Hash::of(&[at.to_string().as_bytes()]);
        let causation = cause.map(|cause| self.words[cause].at.clone());
        self.words.push(Word { at, hash, stream: stream.to_owned(), version, causation, said });
        self.words.len() - 1
    }

    fn sealed() -> Self {
        let mut story = Self::default();
        let brief = Brief {
            round: "r".into(),
            task: "k".into(),
            unit: "o".into(),
            level: domain::Level::Village,
            source: Source::Talk,
            rank_band: RankBand::Village,
            principal_leader: false,
            authority: Authority::Upper,
            of_the_chain: false,
        };
        let (content, by) = (Hash::default(), "p1".to_owned());
        for event in [
            clue::Event::Drafted { brief, content, part: Box::new(sealed_part()), by: by.clone() },
            clue::Event::Sealed { route: Some(party(CITY)), by },
        ] {
            story.says(CLUE, Said::Clue(event), None);
        }
        story
    }

    fn custody(&mut self, stream: &str, event: Custody, cause: Option<usize>) -> usize {
        let said = if stream.starts_with("clue/") {
            Said::Clue(clue::Event::Custody(event))
        } else {
            Said::Case(clue_case::Event::Custody(event))
        };
        self.says(stream, said, cause)
    }

    /// An offer: its place, and the stream that answers it.
    fn offered(&mut self, stream: &str, turn: u32, number: u32, to: &str) -> (usize, String) {
        let offer = Box::new(Offer {
            clue: CLUE.trim_start_matches("clue/").to_owned(),
            number,
            from: party(&stream.split_once('/').unwrap().1[..8]),
            to: party(to),
            content: Hash::default(),
            part: sealed_part(),
            grant: Hash::default(),
            signatures: Vec::new(),
        });
        let at = self.custody(stream, Custody::Offered { turn, offer, papers: Vec::new() }, None);
        (at, format!("clue-case/{}", case_id(&party(to).office, stream, turn)))
    }

    /// The delivery of an offer and its answer: the answer's place.
    fn answered(&mut self, offer: usize, case: &str, returned: bool) -> usize {
        let word = self.words[offer].clone();
        let (turn, what) = offer_in(&word);
        let offer = OfferRef { stream: word.stream.clone(), turn, entry: word.hash };
        let Offer { clue, number, from, to, content, .. } = what;
        let coming = Box::new(Coming {
            offer: offer.clone(),
            clue: clue.clone(),
            number,
            from: from.clone(),
            to,
            content,
            signatures: Vec::new(),
        });
        self.says(case, Said::Case(clue_case::Event::Delivered { coming }), None);
        let event = if returned {
            let reason = ReturnReason::Incomplete;
            clue_case::Event::Returned { offer, reason, from: from.office }
        } else {
            let receipt = signed();
            clue_case::Event::Accepted { offer, clue, content, receipt, from: from.office }
        };
        self.says(case, Said::Case(event), None)
    }

    fn released(&mut self, offer: usize, answer: usize) -> usize {
        let word = self.words[offer].clone();
        let (turn, offer) = offer_in(&word);
        let (clue, to) = (offer.clue.clone(), offer.to.clone());
        let basis = self.words[answer].hash;
        let event = Custody::Released { turn, clue, number: offer.number, to, basis };
        self.custody(&word.stream, event, Some(answer))
    }

    fn taken(&mut self, case: &str, release: usize) -> usize {
        self.says(case, Said::Case(clue_case::Event::CustodyTaken), Some(release))
    }

    fn assigned(&mut self, case: &str) {
        let event = clue_case::Event::Assigned { person: "p1".into() };
        self.says(case, Said::Case(event), None);
    }

    /// Withdrawn, returned, then handed over to the city: the city's stream.
    fn at_the_city() -> (Self, String) {
        let mut story = Self::sealed();
        let (_, _) = story.offered(CLUE, 1, 1, CITY);
        story.withdrawn(CLUE, 1);
        let (offer, case) = story.offered(CLUE, 2, 1, CITY);
        let answer = story.answered(offer, &case, true);
        let (basis, reason) = (story.words[answer].hash, ReturnReason::Incomplete);
        story.custody(CLUE, Custody::OfferReturned { turn: 2, basis, reason }, Some(answer));
        let (offer, case) = story.offered(CLUE, 3, 1, CITY);
        let answer = story.answered(offer, &case, false);
        let release = story.released(offer, answer);
        story.taken(&case, release);
        (story, case)
    }

    fn withdrawn(&mut self, stream: &str, turn: u32) {
        self.custody(stream, Custody::OfferWithdrawn { turn, to: party(CITY) }, None);
    }

    #[track_caller]
    fn is_wrong(&self, why: &str) {
        let wrong = told(&self.words, |_| true, true).wrong;
        assert!(wrong.iter().any(|found| found.contains(why)), "{why}: {wrong:#?}");
    }
}

#[test]
fn a_right_way_is_found_right() {
    let (mut story, case) = Story::at_the_city();
    story.assigned(&case);
    let (offer, below) = story.offered(&case, 1, 2, OTHER);
    let answer = story.answered(offer, &below, false);
    let release = story.released(offer, answer);
    let told = told(&story.words, |_| true, true);
    assert_eq!(told.wrong, Vec::<String>::new());
    // Released, and the word of it has not come: it is between two organs.
    assert_eq!(told.between, std::slice::from_ref(&below));
    story.taken(&below, release);
    let told = super::told(&story.words, |_| true, true);
    assert_eq!((told.wrong, told.between), (Vec::new(), Vec::new()));
    let holder = &told.holders["bbbbbbbb-1"];
    assert_eq!((holder.office.as_str(), holder.number, &holder.stream), (OTHER, 2, &below));
    assert_eq!(holder.stand, super::Stand::Able);
}

#[test]
fn an_acceptance_that_crossed_a_withdrawal_is_counted_and_right() {
    let mut story = Story::sealed();
    let (offer, case) = story.offered(CLUE, 1, 1, CITY);
    story.withdrawn(CLUE, 1);
    story.answered(offer, &case, false);
    story.says(&case, Said::Case(clue_case::Event::Voided), None);
    let told = told(&story.words, |_| true, true);
    assert_eq!((told.wrong, told.crossed), (Vec::new(), 1));
    assert_eq!(told.holders["bbbbbbbb-1"].office.as_str(), DISTRICT);
}

#[test]
fn two_releases_are_found() {
    // In one stream.
    let (mut story, case) = Story::at_the_city();
    let (offer, _) = story.offered(CLUE, 4, 1, OTHER);
    story.is_wrong("offered while it stands Gone");
    let answer = story.answered(offer, &format!("clue-case/{OTHER}-0"), false);
    story.released(offer, answer);
    story.is_wrong("hand-over 1 was released by");
    // In two: who does not hold it any more hands it on beside the one who does.
    let (mut story, _) = (Story::at_the_city().0, case);
    let (offer, below) = story.offered(CLUE, 4, 2, OTHER);
    let answer = story.answered(offer, &below, false);
    let release = story.released(offer, answer);
    story.taken(&below, release);
    story.is_wrong("hand-over 2 by clue/bbbbbbbb-1");
}

#[test]
fn custody_that_was_taken_after_a_withdrawal_is_found() {
    let mut story = Story::sealed();
    let (offer, case) = story.offered(CLUE, 1, 1, CITY);
    let answer = story.answered(offer, &case, false);
    story.withdrawn(CLUE, 1);
    let last = story.words.len() - 1;
    let mut other = story.clone();
    story.taken(&case, last);
    story.is_wrong("custody taken of an offer that was withdrawn");
    story.is_wrong("but clue/bbbbbbbb-1 holds it");
    // The same with a release that must not be.
    let release = other.released(offer, answer);
    other.taken(&case, release);
    other.is_wrong("released of a closed offer");
}

#[test]
fn custody_without_its_own_release_is_found() {
    let mut story = Story::sealed();
    let (offer, case) = story.offered(CLUE, 1, 1, CITY);
    let answer = story.answered(offer, &case, false);
    let mut unreleased = story.clone();
    unreleased.taken(&case, answer);
    unreleased.is_wrong("custody taken unreleased");
    story.released(offer, answer);
    story.taken(&case, offer);
    story.is_wrong("the release is");
}

#[test]
fn a_release_that_quotes_another_answer_is_found() {
    let mut story = Story::sealed();
    let (offer, case) = story.offered(CLUE, 1, 1, CITY);
    let mut none = story.clone();
    none.released(offer, offer);
    none.is_wrong("quotes an acceptance that nobody said");
    let answer = story.answered(offer, &case, false);
    story.released(offer, answer - 1);
    story.is_wrong("quotes another acceptance");
}

#[test]
fn who_acts_without_holding_is_found() {
    let (mut story, case) = Story::at_the_city();
    story.offered(&case, 1, 2, OTHER);
    story.assigned(&case);
    story.is_wrong("assigned while it stands Offered");
    let (mut story, _) = Story::at_the_city();
    let (authority, by) = (Authority::Own, "p1".to_owned());
    story.says(CLUE, Said::Clue(clue::Event::Rerouted { authority, route: None, by }), None);
    story.is_wrong("rerouted while it stands Gone");
}

#[test]
fn a_cause_is_asked_for_only_of_what_was_there_before() {
    let (story, _) = Story::at_the_city();
    let of_the_city = |word: &&Word| word.at.origin.as_str() == CITY;
    let half: Vec<Word> = story.words.iter().filter(of_the_city).cloned().collect();
    assert!(!told(&half, |_| true, false).wrong.is_empty());
    assert_eq!(told(&half, |_| false, false).wrong, Vec::<String>::new());
}
