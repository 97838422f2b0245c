//! The custody protocol, every way it can go: the rules that the offices run, over a network
//! that loses, doubles, reorders and delays words for ever, three organs and a bounded
//! number of offers. Beside it the same with a fault put in, which must be found: a list of
//! properties that finds nothing proves nothing.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]
#![expect(clippy::unused_self, reason = "all of it is said of one protocol")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use domain::{
    Level,
    clue::{self, Authority, Brief, Clue, RankBand, SIGNS, Source},
    clue_case::{self, ClueCase, Coming, RECEIVES},
    custody::{
        self, Ask, At, Event as Custody, Offer, OfferRef, Party, PersonSignature, ReturnReason,
        case_id, statement,
    },
    post::Organ,
};
use kernel::{
    Aggregate, Context, OfficeId, Refusal,
    sign::{EventKey, Hash, Signature},
};
use stateright::{Checker, Model, Property};
use testkit::sealed_part;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Who accepts may act at once.
    ActsOnAcceptance,
    /// The acceptance of a withdrawn offer still moves custody.
    WithdrawnMoves,
    /// An answer counts for whichever offer is open.
    AnyAnswerCounts,
    /// What was released can be taken back.
    TakenBack,
    /// A second offer goes out beside the open one.
    TwoOffers,
    /// The release names another than whom it was offered to.
    ReleasedElsewhere,
}

const FAULTS: [Fault; 6] = [
    Fault::ActsOnAcceptance,
    Fault::WithdrawnMoves,
    Fault::AnyAnswerCounts,
    Fault::TakenBack,
    Fault::TwoOffers,
    Fault::ReleasedElsewhere,
];

/// One word of an organ's stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Said {
    stream: String,
    data: String,
}

/// Everything that was said, by office and stream; the network holds it for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    logs: Vec<BTreeMap<String, Vec<Said>>>,
}

impl World {
    fn of(&self, at: usize, stream: &str) -> &[Said] {
        self.logs[at].get(stream).map_or(&[], Vec::as_slice)
    }

    fn all(&self) -> impl Iterator<Item = &Said> {
        self.logs.iter().flat_map(BTreeMap::values).flatten()
    }

    fn push(&mut self, at: usize, said: Said) {
        self.logs[at].entry(said.stream.clone()).or_default().push(said);
    }
}

/// What somebody or the network does next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Offer(usize, String, usize),
    Withdraw(usize, String),
    Accept(usize, String),
    Return(usize, String),
    /// A word comes to an organ, perhaps once more.
    Hear(usize, usize, String, usize),
}

struct Protocol {
    offices: Vec<OfficeId>,
    most_offers: u32,
    longest: u32,
    fault: Fault,
}

static KEY: LazyLock<EventKey> = LazyLock::new(|| EventKey::from_seed(&[3; 32]).unwrap());
static CONTENT: LazyLock<Hash> = LazyLock::new(|| Hash::of(&[b"content"]));

fn signed(act: &str, clue: &str) -> PersonSignature {
    let signature = Signature(KEY.sign(&statement(act, clue, &CONTENT).0));
    PersonSignature { by: "p1".into(), key: KEY.public(), signature }
}

impl Protocol {
    fn party(&self, at: usize) -> Party {
        Party { office: self.offices[at].clone(), organ: Organ::DisciplineOrgan }
    }

    fn clue(&self) -> String {
        format!("{}-1", self.offices[0])
    }

    fn context(&self, at: usize) -> Context {
        Context { office: self.offices[at].clone(), ..testkit::context("p1") }
    }

    fn fold<A: Aggregate>(&self, world: &World, at: usize, stream: &str) -> A {
        let mut state = A::default();
        for said in world.of(at, stream) {
            state.evolve(&serde_json::from_str(&said.data).unwrap());
        }
        state
    }

    fn streams<'w>(&self, world: &'w World, at: usize) -> BTreeSet<&'w str> {
        world.logs[at].keys().map(String::as_str).collect()
    }

    /// Where custody stands in a stream.
    fn at(&self, world: &World, at: usize, stream: &str) -> At {
        let mut hold = custody::Hold::default();
        for said in world.of(at, stream) {
            if stream.starts_with("clue/") {
                match serde_json::from_str(&said.data).unwrap() {
                    clue::Event::Sealed { .. } => hold.take(),
                    clue::Event::Custody(event) => hold.evolve(&event),
                    _ => {}
                }
            } else {
                match serde_json::from_str(&said.data).unwrap() {
                    clue_case::Event::CustodyTaken => hold.take(),
                    clue_case::Event::Custody(event) => hold.evolve(&event),
                    clue_case::Event::Accepted { .. } if self.fault == Fault::ActsOnAcceptance => {
                        hold.take();
                    }
                    _ => {}
                }
            }
        }
        hold.at()
    }

    fn custody(&self, said: &Said) -> Option<Custody> {
        if said.stream.starts_with("clue/") {
            match serde_json::from_str(&said.data).unwrap() {
                clue::Event::Custody(event) => Some(event),
                _ => None,
            }
        } else {
            match serde_json::from_str(&said.data).unwrap() {
                clue_case::Event::Custody(event) => Some(event),
                _ => None,
            }
        }
    }

    fn entry(stream: &str, index: usize) -> Hash {
        Hash::of(&[stream.as_bytes(), &(index as u64).to_be_bytes()])
    }

    /// Decides by the offices' own rules, unless the fault says otherwise.
    fn tell<A: Aggregate>(
        &self,
        world: &mut World,
        at: usize,
        stream: &str,
        ask: A::Command,
    ) -> Result<(), Refusal> {
        let state: A = self.fold(world, at, stream);
        let events = state.decide(ask, &self.context(at))?;
        for event in events {
            let data = serde_json::to_string(&event).unwrap();
            world.push(at, Said { stream: stream.to_owned(), data });
        }
        Ok(())
    }

    fn say(&self, world: &mut World, at: usize, stream: &str, event: &Custody) {
        let data = serde_json::to_string(event).unwrap();
        world.push(at, Said { stream: stream.to_owned(), data });
    }

    fn hear(&self, world: &mut World, here: usize, from: usize, stream: &str, index: usize) {
        let said = world.of(from, stream)[index].clone();
        let (office, basis) = (self.offices[here].clone(), Self::entry(stream, index));
        if let Some(event) = self.custody(&said) {
            if let Custody::Offered { turn, offer, .. } = &event
                && offer.to.office == office
            {
                let Offer { clue, number, from, to, content, signatures, .. } = (**offer).clone();
                let offer = OfferRef { stream: said.stream.clone(), turn: *turn, entry: basis };
                let coming =
                    Box::new(Coming { offer, clue, number, from, to, content, signatures });
                let stream = format!("clue-case/{}", case_id(&office, &said.stream, *turn));
                let _ = self.tell::<ClueCase>(
                    world,
                    here,
                    &stream,
                    clue_case::Command::NoteDelivery(coming),
                );
            }
            if let Some(Ask::Case(id, ask)) = custody::on_holder(&event, &said.stream, &office) {
                let _ = self.tell::<ClueCase>(world, here, &format!("clue-case/{id}"), ask);
            }
            return;
        }
        if !said.stream.starts_with("clue-case/") {
            return;
        }
        let event: clue_case::Event = serde_json::from_str(&said.data).unwrap();
        let by = &self.offices[from];
        match custody::on_receiver(&event, by, basis, &office) {
            Some(Ask::Clue(id, clue::Command::NoteAnswer(answer))) => {
                let stream = format!("clue/{id}");
                if !self.faulty_note(world, here, &stream, &answer) {
                    let ask = clue::Command::NoteAnswer(answer);
                    let _ = self.tell::<Clue>(world, here, &stream, ask);
                }
            }
            Some(Ask::Case(id, clue_case::Command::NoteAnswer(answer))) => {
                let stream = format!("clue-case/{id}");
                if !self.faulty_note(world, here, &stream, &answer) {
                    let ask = clue_case::Command::NoteAnswer(answer);
                    let _ = self.tell::<ClueCase>(world, here, &stream, ask);
                }
            }
            _ => {}
        }
    }

    /// Notes an answer as a faulty holder would; whether the fault had its way.
    fn faulty_note(
        &self,
        world: &mut World,
        here: usize,
        stream: &str,
        answer: &custody::Answer,
    ) -> bool {
        if answer.returned.is_some() {
            return false;
        }
        let mut offers = BTreeMap::new();
        let mut released = false;
        for said in world.of(here, stream) {
            match self.custody(said) {
                Some(Custody::Offered { turn, offer, .. }) => {
                    offers.insert(turn, offer);
                }
                Some(Custody::Released { .. }) => released = true,
                _ => {}
            }
        }
        let open = self.at(world, here, stream) == At::Offered;
        let last = offers.keys().next_back().copied().unwrap_or(0);
        let which = match self.fault {
            Fault::WithdrawnMoves if !released => answer.turn,
            Fault::AnyAnswerCounts if open && answer.turn != last => last,
            Fault::ReleasedElsewhere if open && answer.turn == last => last,
            _ => return false,
        };
        let Some(offer) = offers.get(&which) else { return false };
        let mut to = offer.to.clone();
        if self.fault == Fault::ReleasedElsewhere {
            let others = (0..self.offices.len()).map(|at| self.party(at));
            to = others
                .into_iter()
                .find(|party| *party != to && party.office != self.offices[here])
                .unwrap();
        }
        let event = Custody::Released {
            turn: which,
            clue: offer.clue.clone(),
            number: offer.number,
            to,
            basis: answer.basis,
        };
        self.say(world, here, stream, &event);
        true
    }

    fn offer(&self, world: &mut World, at: usize, stream: &str, to: usize) {
        let number = if stream.starts_with("clue/") {
            1
        } else {
            let case: ClueCase = self.fold(world, at, stream);
            case.coming().map_or(0, |coming| coming.number + 1)
        };
        let offer = Box::new(Offer {
            clue: self.clue(),
            number,
            from: self.party(at),
            to: self.party(to),
            content: *CONTENT,
            part: sealed_part(),
            grant: Hash::default(),
            signatures: vec![signed(SIGNS, &self.clue())],
        });
        if self.fault == Fault::TwoOffers {
            let said = world.of(at, stream).iter();
            let turns = said.filter_map(|said| self.custody(said));
            let turn = turns.filter(|event| matches!(event, Custody::Offered { .. })).count();
            let turn = u32::try_from(turn).unwrap() + 1;
            return self.say(
                world,
                at,
                stream,
                &Custody::Offered { turn, offer, papers: Vec::new() },
            );
        }
        let _ = if stream.starts_with("clue/") {
            self.tell::<Clue>(world, at, stream, clue::Command::Offer(offer))
        } else {
            self.tell::<ClueCase>(world, at, stream, clue_case::Command::Offer(offer))
        };
    }

    /// Every release, with who said it and in which stream.
    fn releases(&self, world: &World) -> Vec<(usize, String, u32, u32, Party, Hash)> {
        let all = world.logs.iter().enumerate();
        all.flat_map(|(at, streams)| {
            streams.values().flatten().filter_map(move |said| match self.custody(said) {
                Some(Custody::Released { turn, number, to, basis, .. }) => {
                    Some((at, said.stream.clone(), turn, number, to, basis))
                }
                _ => None,
            })
        })
        .collect()
    }

    /// The streams in which custody stands so.
    fn holding(&self, world: &World, as_what: At) -> Vec<(usize, String)> {
        let all = 0..world.logs.len();
        all.flat_map(|at| {
            let streams = self.streams(world, at).into_iter();
            streams
                .filter(move |stream| self.at(world, at, stream) == as_what)
                .map(move |stream| (at, stream.to_owned()))
        })
        .collect()
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut world = World { logs: vec![BTreeMap::new(); self.offices.len()] };
        let brief = Brief {
            round: "r".into(),
            task: "k".into(),
            unit: "o".into(),
            level: Level::Village,
            source: Source::Talk,
            rank_band: RankBand::Village,
            principal_leader: false,
            authority: Authority::Own,
            of_the_chain: false,
        };
        let signature = signed(SIGNS, &self.clue());
        let (content, by) = (*CONTENT, "p1".to_owned());
        let route = Some(self.party(1));
        for event in [
            clue::Event::Drafted { brief, content, part: Box::new(sealed_part()), by: by.clone() },
            clue::Event::DualSigned { signature },
            clue::Event::Sealed { route, by },
        ] {
            let data = serde_json::to_string(&event).unwrap();
            world.push(0, Said { stream: format!("clue/{}", self.clue()), data });
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        for here in 0..world.logs.len() {
            for stream in self.streams(world, here) {
                let own = world.of(here, stream).iter();
                let offers =
                    own.filter(|said| matches!(self.custody(said), Some(Custody::Offered { .. })));
                let offers = u32::try_from(offers.count()).unwrap();
                if offers < self.most_offers {
                    for to in (0..world.logs.len()).filter(|to| *to != here) {
                        actions.push(Step::Offer(here, stream.to_owned(), to));
                    }
                }
                actions.push(Step::Withdraw(here, stream.to_owned()));
                if stream.starts_with("clue-case/") {
                    actions.push(Step::Accept(here, stream.to_owned()));
                    actions.push(Step::Return(here, stream.to_owned()));
                }
            }
            for (from, streams) in world.logs.iter().enumerate() {
                for (stream, said) in streams {
                    let hear = |index| Step::Hear(here, from, stream.clone(), index);
                    actions.extend((0..said.len()).map(hear));
                }
            }
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        match step {
            Step::Offer(at, stream, to) => {
                let depth = if stream.starts_with("clue/") {
                    0
                } else {
                    let case: ClueCase = self.fold(world, at, &stream);
                    case.coming().map_or(0, |coming| coming.number)
                };
                if depth >= self.longest {
                    return None;
                }
                self.offer(&mut next, at, &stream, to);
            }
            Step::Withdraw(at, stream) => {
                let back =
                    self.fault == Fault::TakenBack && self.at(world, at, &stream) == At::Released;
                if back {
                    let event = Custody::OfferWithdrawn { turn: 1, to: self.party(1) };
                    self.say(&mut next, at, &stream, &event);
                } else if stream.starts_with("clue/") {
                    let _ = self.tell::<Clue>(&mut next, at, &stream, clue::Command::Withdraw);
                } else {
                    let ask = clue_case::Command::Withdraw;
                    let _ = self.tell::<ClueCase>(&mut next, at, &stream, ask);
                }
            }
            Step::Accept(at, stream) => {
                let Some(clue::Event::Drafted { brief, .. }) =
                    serde_json::from_str(&world.all().next()?.data).ok()
                else {
                    return None;
                };
                let receipt = signed(RECEIVES, &self.clue());
                let ask = clue_case::Command::Accept { brief, receipt };
                let _ = self.tell::<ClueCase>(&mut next, at, &stream, ask);
            }
            Step::Return(at, stream) => {
                let ask = clue_case::Command::Return(ReturnReason::Duplicate);
                let _ = self.tell::<ClueCase>(&mut next, at, &stream, ask);
            }
            Step::Hear(here, from, stream, index) => {
                self.hear(&mut next, here, from, &stream, index);
            }
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties: Vec<Property<Self>> = vec![
            Property::always("at most one organ can act", |model, world| {
                model.holding(world, At::Held).len() <= 1
            }),
            Property::always("exactly one is accountable, and only it can act", |model, world| {
                let releases = model.releases(world);
                let newest = releases.iter().max_by_key(|release| release.3);
                let accountable = newest.map_or_else(|| model.party(0), |newest| newest.4.clone());
                let same = releases.iter().filter(|r| newest.is_some_and(|n| n.3 == r.3)).count();
                let holds = [At::Held, At::Offered].map(|at| model.holding(world, at)).concat();
                same <= 1 && holds.iter().all(|(at, _)| model.party(*at) == accountable)
            }),
            Property::always("the chain does not fork", |model, world| {
                let mut numbers: Vec<u32> = model.releases(world).iter().map(|r| r.3).collect();
                numbers.sort_unstable();
                numbers.iter().enumerate().all(|(at, number)| at + 1 == *number as usize)
            }),
            Property::always(
                "an offer that was withdrawn or returned moves nothing",
                |model: &Self, world: &World| {
                    let over: BTreeSet<(String, u32)> = world
                        .all()
                        .filter_map(|said| match model.custody(said)? {
                            Custody::OfferWithdrawn { turn, .. }
                            | Custody::OfferReturned { turn, .. } => {
                                Some((said.stream.clone(), turn))
                            }
                            _ => None,
                        })
                        .collect();
                    model.releases(world).iter().all(|r| !over.contains(&(r.1.clone(), r.2)))
                },
            ),
            Property::always(
                "a release quotes its receiver's own acceptance of this offer",
                |model, world| {
                    model.releases(world).iter().all(|(_, stream, turn, _, to, basis)| {
                        let receiver = model.offices.iter().position(|o| *o == to.office).unwrap();
                        world.logs[receiver].values().flat_map(|said| said.iter().enumerate()).any(
                            |(index, said)| {
                                let Ok(clue_case::Event::Accepted { offer, .. }) =
                                    serde_json::from_str(&said.data)
                                else {
                                    return false;
                                };
                                Protocol::entry(&said.stream, index) == *basis
                                    && offer.stream == *stream
                                    && offer.turn == *turn
                            },
                        )
                    })
                },
            ),
        ];
        properties.extend(reachable());
        properties
    }
}

/// What must come about at least once, or nothing was checked.
fn reachable() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("custody comes to the third", |model: &Protocol, world: &World| {
            model.holding(world, At::Held).iter().any(|(at, _)| *at == 2)
        }),
        Property::sometimes("a withdrawal and an acceptance cross", |_, world: &World| {
            let said = |what: &str| world.all().any(|s| s.data.contains(what));
            said("\"event\":\"voided\"") && said("\"event\":\"accepted\"")
        }),
    ]
}

fn protocol(fault: Fault, most_offers: u32, longest: u32) -> Protocol {
    let offices = ["aaaaaaaa", "bbbbbbbb", "cccccccc"].map(|id| OfficeId::parse(id).unwrap());
    Protocol { offices: offices.into(), most_offers, longest, fault }
}

#[test]
fn custody_is_lost_by_nobody_and_held_by_one() {
    let checked = protocol(Fault::None, 2, 2)
        .checker()
        .threads(2)
        .timeout(std::time::Duration::from_mins(5))
        .spawn_bfs()
        .join();
    checked.assert_properties();
    assert!(checked.is_done());
    eprintln!(
        "{} unique states, {} in all, depth {}",
        checked.unique_state_count(),
        checked.state_count(),
        checked.max_depth()
    );
    assert!(checked.unique_state_count() > 1_000, "{}", checked.unique_state_count());
}

#[test]
fn every_fault_that_is_put_in_is_found() {
    for fault in FAULTS {
        let checked = protocol(fault, 2, 2)
            .checker()
            .target_state_count(100_000)
            .threads(2)
            .spawn_bfs()
            .join();
        let found: Vec<&str> = checked
            .discoveries()
            .into_keys()
            .filter(|name| {
                !name.starts_with("custody comes") && !name.starts_with("a withdrawal and")
            })
            .collect();
        eprintln!("{fault:?}: {found:?} within {} states", checked.unique_state_count());
        assert!(!found.is_empty(), "{fault:?} is not found");
    }
}
