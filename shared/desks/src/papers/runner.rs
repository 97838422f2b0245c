//! Sends and fetches what own filings and reviews name, and receipts what is whole.
//!
//! A paper may be on its way for an hour. The runner's turn only sees to it that
//! somebody sends and somebody fetches; what else is due by time does not wait for them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use domain::filing_review::{Command as Ask, FilingReview, State as ReviewState};
use event_store::{Answer, Office, Unit, act};
use kernel::{clock::wall, sign::Hash};
use tokio::task::JoinSet;
use web::{Problem, Seat, client::Client};

use super::hub_client::{HubClient, Standing};
use crate::{
    clue_cases,
    clues::view::OFFERS_OUT,
    filings::{FILINGS, FilingRow},
    reviews::{REVIEWS, ReviewRow},
};

/// How soon the hub is asked again for a paper that it had and nobody receipted: it may
/// have lost it.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How often old unfinished papers are looked for.
const SWEEP: Duration = Duration::from_hours(1);

/// The runner of one office.
pub struct PaperRunner {
    errands: Arc<Errands>,
    sending: Task,
    fetching: Task,
    swept: Mutex<Option<Instant>>,
}

/// Since which commit there is nothing to do: only the next one can bring something. An
/// office at rest does not open its store, or a process of a hundred is never idle.
#[derive(Debug, Default)]
pub(super) struct Rest(AtomicU64);

impl Rest {
    /// How many commits there are, unless there was nothing to do after as many.
    pub(super) fn over(&self, office: &Office) -> Option<u64> {
        let commits = office.commits();
        (self.0.load(Relaxed) != commits + 1).then_some(commits)
    }

    /// Nothing was to do after so many commits; rows that are folded anew may differ.
    pub(super) fn begin(&self, commits: u64, office: &Office) {
        if office.rebuilding().is_none() {
            self.0.store(commits + 1, Relaxed);
        }
    }
}

/// Something that is begun again when it is done; ends with its owner.
#[derive(Default)]
struct Task(Mutex<JoinSet<Result<(), Problem>>>);

impl Task {
    /// Begins it if it does not run; what the last one came to.
    fn run(
        &self,
        work: impl Future<Output = Result<(), Problem>> + Send + 'static,
    ) -> Result<(), Problem> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = running.try_join_next();
        if running.is_empty() {
            running.spawn(work);
        }
        last.unwrap_or(Ok(Ok(()))).map_err(std::io::Error::other)?
    }
}

impl PaperRunner {
    /// A runner towards the hub at `hub`, the city's address; without one the papers
    /// come and go with the courier.
    pub fn new(seat: Arc<Seat>, hub: Option<String>) -> Self {
        let errands = Errands {
            client: seat.client.clone(),
            seat,
            hub,
            told: Mutex::default(),
            sent: Rest::default(),
            fetched: Rest::default(),
            away: Mutex::default(),
            here: Rest::default(),
            wanted: Mutex::default(),
        };
        Self {
            errands: Arc::new(errands),
            sending: Task::default(),
            fetching: Task::default(),
            swept: Mutex::default(),
        }
    }

    /// One turn. Whatever fails is tried again in a later one.
    pub async fn turn(&self) -> Result<(), Problem> {
        self.sweep().await?;
        let errands = self.errands.clone();
        let sent = self.sending.run(async move { errands.send_all().await });
        let errands = self.errands.clone();
        let fetched = self.fetching.run(async move { errands.fetch_all().await });
        sent.and(fetched)
    }

    async fn sweep(&self) -> Result<(), Problem> {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|at| at.elapsed() < SWEEP) {
                return Ok(());
            }
            *swept = Some(Instant::now());
        }
        let seat = &self.errands.seat;
        for papers in [Some(&seat.papers), seat.hub_papers.as_ref()].into_iter().flatten() {
            let gone = papers.sweep(wall()).await?;
            if gone > 0 {
                tracing::info!(gone, "unfinished papers that nobody went on with are gone");
            }
        }
        Ok(())
    }

    /// The papers that submissions name and that are not here.
    pub async fn wanted(&self) -> Result<Vec<Hash>, Problem> {
        let seat = &self.errands.seat;
        let reviews: Vec<(String, ReviewRow)> =
            seat.office.reader().await?.all(REVIEWS, "").await?;
        let open = reviews.into_iter().filter(|(_, row)| row.state == ReviewState::Submitted);
        let named = open.filter_map(|(_, row)| row.submission).flat_map(|s| s.items.into_values());
        let mut wanted: Vec<Hash> =
            named.map(|paper| paper.hash).filter(|hash| !seat.papers.has(hash)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }
}

/// What is sent, fetched and receipted.
pub(super) struct Errands {
    pub(super) seat: Arc<Seat>,
    hub: Option<String>,
    client: Client,
    /// When the hub said last that it has a paper.
    told: Mutex<BTreeMap<Hash, Instant>>,
    sent: Rest,
    fetched: Rest,
    /// When it was looked last for what is away: a store that was put back from a backup
    /// names papers that came after it, here or at the hub.
    pub(super) away: Mutex<Option<Instant>>,
    /// Since when nothing is.
    pub(super) here: Rest,
    /// When the hub was asked last what others want.
    pub(super) wanted: Mutex<Option<Instant>>,
}

impl Errands {
    fn hub(&self) -> Option<HubClient<'_>> {
        let hub = self.hub.as_deref()?;
        Some(HubClient { seat: &self.seat, hub, client: &self.client })
    }

    async fn send_all(&self) -> Result<(), Problem> {
        let Some(hub) = self.hub() else { return Ok(()) };
        if let Err(problem) = self.send_wanted(&hub).await {
            tracing::warn!(?problem, "what others want waits");
        }
        let office = &self.seat.office;
        let Some(commits) = self.sent.over(office) else { return Ok(()) };
        let filings: Vec<(String, FilingRow)> = office.reader().await?.all(FILINGS, "").await?;
        let mut open: Vec<FilingRow> = filings.into_iter().map(|(_, row)| row).collect();
        open.retain(|row| row.waits_for_receipt(&office.setting().office));
        let offered = offered(&self.seat).await?;
        if open.is_empty() && offered.is_empty() {
            self.sent.begin(commits, office);
        }
        let filed = open.into_iter().flat_map(|row| row.items.into_values());
        for hash in filed.map(|paper| paper.hash).chain(offered) {
            if self.was_told(&hash) {
                continue;
            }
            match hub.send(&hash).await? {
                Standing::Whole => self.tell(hash),
                Standing::Away => break,
                Standing::UpTo(_) | Standing::Refused => {}
            }
        }
        Ok(())
    }

    fn was_told(&self, hash: &Hash) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| at.elapsed() < ASK_AGAIN);
        told.contains_key(hash)
    }

    fn tell(&self, hash: Hash) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(hash, Instant::now());
    }

    async fn fetch_all(&self) -> Result<(), Problem> {
        self.fetch_away().await?;
        let office = &self.seat.office;
        let Some(commits) = self.fetched.over(office) else { return Ok(()) };
        let mut open: Vec<(String, ReviewRow)> = office.reader().await?.all(REVIEWS, "").await?;
        open.retain(|(_, row)| row.state == ReviewState::Submitted);
        let offers = clue_cases::waiting(&self.seat).await?;
        if open.is_empty() && offers.is_empty() {
            self.fetched.begin(commits, office);
        }
        for (id, offer) in offers {
            match self.whole(&clue_cases::needed(&self.seat, &offer.what)).await? {
                Standing::Whole => {
                    if let Err(problem) = clue_cases::deliver(&self.seat, id, offer).await {
                        tracing::warn!(?problem, "an offer is not delivered yet");
                    }
                }
                Standing::Away => break,
                Standing::UpTo(_) | Standing::Refused => {}
            }
        }
        for (id, row) in open {
            match self.fetched(&row).await? {
                Standing::Whole => self.receipt(id).await,
                Standing::Away => break,
                Standing::UpTo(_) | Standing::Refused => {}
            }
        }
        Ok(())
    }

    /// Fetches what a submission names.
    async fn fetched(&self, row: &ReviewRow) -> Result<Standing, Problem> {
        let Some(submission) = &row.submission else { return Ok(Standing::Refused) };
        let papers: Vec<Hash> = submission.items.values().map(|paper| paper.hash).collect();
        self.whole(&papers).await
    }

    /// Fetches what is not here.
    pub(super) async fn whole(&self, papers: &[Hash]) -> Result<Standing, Problem> {
        for hash in papers {
            if self.seat.papers.has(hash) {
                continue;
            }
            let Some(hub) = self.hub() else { return Ok(Standing::Refused) };
            let stands = hub.fetch(hash).await?;
            if stands != Standing::Whole {
                return Ok(stands);
            }
        }
        Ok(Standing::Whole)
    }

    async fn receipt(&self, id: String) {
        let receipting = act(move |unit: &mut Unit<'_>| {
            let id = id.clone();
            Box::pin(async move {
                unit.execute::<FilingReview>(&id, Ask::Receipt).await?;
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        if let Err(refusal) = self.seat.office.system(receipting).await {
            tracing::debug!(%refusal, "no receipt yet");
        }
    }
}

/// What goes with open offers to other offices, until it is there.
async fn offered(seat: &Seat) -> Result<Vec<Hash>, Problem> {
    let open: Vec<(String, Vec<Hash>)> = seat.office.reader().await?.all(OFFERS_OUT, "").await?;
    Ok(open.into_iter().flat_map(|(_, papers)| papers).collect())
}
