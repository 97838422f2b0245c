//! Reading connections, few and shared by all offices of a process.
//!
//! Ninety-eight townships in one process must not hold ninety-eight pools: a
//! permit is taken for each read, and idle connections are kept only while
//! there is room for them.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Past,
    db::{Arg, Conn, Engine, Row, StoreError},
};

/// The capped pool.
#[derive(Debug, Clone)]
pub struct Readers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<(Engine, Conn)>>>,
    most: usize,
}

impl Readers {
    /// A pool that never has more than `most` connections in use.
    pub fn new(most: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(most)), idle: Arc::default(), most }
    }

    /// A connection to one office's store; waits for its turn.
    pub async fn take(&self, engine: &Engine) -> Result<Reader, StoreError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Unfit("the pool is closed".to_owned()))?;
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.iter().position(|(of, _)| of == engine).map(|at| idle.remove(at).1)
        };
        let conn = match kept {
            Some(conn) => conn,
            None => Conn::open_reader(engine).await?,
        };
        let (engine, pool) = (engine.clone(), self.clone());
        let loan = Loan { conn: Some(conn), engine, pool, _permit: permit };
        Ok(Reader { loan: Some(loan), past: None, rebuilding: false })
    }

    fn give_back(&self, engine: Engine, conn: Conn) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((engine, conn));
        if idle.len() > self.most {
            idle.remove(0);
        }
    }

    /// Forgets the idle connections of a store, so that its files can be put away.
    pub fn forget(&self, engine: &Engine) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| of != engine);
    }
}

/// A connection on loan.
#[derive(Debug)]
struct Loan {
    conn: Option<Conn>,
    engine: Engine,
    pool: Readers,
    _permit: OwnedSemaphorePermit,
}

/// Reads one office: its store as it is, or its views as they were.
#[derive(Debug)]
pub struct Reader {
    loan: Option<Loan>,
    past: Option<Arc<Past>>,
    /// Whether the views were being folded again when it was lent.
    pub(crate) rebuilding: bool,
}

impl Reader {
    /// Reads the views of a past that lies in memory whole.
    pub const fn of(past: Arc<Past>) -> Self {
        Self { loan: None, past: Some(past), rebuilding: false }
    }

    /// The same reader, for the views as they were.
    #[must_use]
    pub fn looking_back(self, past: Arc<Past>) -> Self {
        Self { past: Some(past), ..self }
    }

    /// Runs a query. A connection that failed is not given back.
    pub async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        let answer = self.conn()?.rows(sql, args).await;
        if let (Err(StoreError::Broken(_)), Some(loan)) = (&answer, &mut self.loan) {
            loan.conn = None;
        }
        answer
    }

    /// The connection, for a slice of a replay.
    pub(crate) fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        let conn = self.loan.as_mut().and_then(|loan| loan.conn.as_mut());
        conn.ok_or_else(|| StoreError::Unfit("there is no connection, or it failed before".into()))
    }

    /// Which folds made the rows that are served.
    pub async fn schema(&mut self) -> Result<String, StoreError> {
        let rows = self.rows("SELECT schema FROM view_sets WHERE id = 1", vec![]).await?;
        rows.first().map_or_else(|| Ok(String::new()), |row| row.text(0))
    }

    /// The views that have rows. Of a past only those are told that lie in memory whole.
    pub async fn views(&mut self) -> Result<Vec<String>, StoreError> {
        if let Some(past) = &self.past {
            if !past.is_whole() {
                return Err(StoreError::Unfit("this past lies in blocks".into()));
            }
            return Ok(past.over().map(str::to_owned).collect());
        }
        let sql = "SELECT DISTINCT view FROM view_rows \
                   WHERE generation = (SELECT served FROM view_sets WHERE id = 1) ORDER BY view";
        self.rows(sql, vec![]).await?.iter().map(|row| row.text(0)).collect()
    }

    /// One row of a view.
    pub async fn view<T: DeserializeOwned>(
        &mut self,
        view: &str,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let body = match self.past.clone() {
            Some(past) => past.row(self, view, key).await?,
            None => self.row_now(view, key).await?,
        };
        body.map(|body| self.read_row(view, &body)).transpose()
    }

    async fn row_now(&mut self, view: &str, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT body FROM view_rows \
                   WHERE generation = (SELECT served FROM view_sets WHERE id = 1) \
                   AND view = $1 AND key = $2";
        let rows = self.rows(sql, vec![view.into(), key.into()]).await?;
        rows.first().map(|row| row.text(0)).transpose()
    }

    /// Up to `limit` rows whose keys begin with `prefix`, after the key `after`.
    pub async fn scan<T: DeserializeOwned>(
        &mut self,
        view: &str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let bodies = self.bodies(view, prefix, after, limit).await?;
        bodies.into_iter().map(|(key, body)| Ok((key, self.read_row(view, &body)?))).collect()
    }

    /// The same rows as they are stored, to be held against others byte for byte.
    pub async fn bodies(
        &mut self,
        view: &str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        if let Some(past) = self.past.clone() {
            return past.rows(self, view, (prefix, after), limit).await;
        }
        let sql = "SELECT key, body FROM view_rows \
                   WHERE generation = (SELECT served FROM view_sets WHERE id = 1) \
                   AND view = $1 AND key >= $2 AND key > $3 AND key < $4 ORDER BY key LIMIT $5";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args =
            vec![view.into(), prefix.into(), after.into(), past(prefix).into(), limit.into()];
        let rows = self.rows(sql, args).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }

    /// Every row of a view under `prefix`.
    pub async fn all<T: DeserializeOwned>(
        &mut self,
        view: &str,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        self.scan(view, prefix, "", usize::MAX).await
    }

    /// A row of another fold may not read; while the views are folded again it waits.
    fn read_row<T: DeserializeOwned>(&self, view: &str, body: &str) -> Result<T, StoreError> {
        serde_json::from_str(body).map_err(|error| {
            if self.rebuilding {
                return StoreError::Rebuilding;
            }
            StoreError::Unfit(format!("a row of {view} does not read: {error}"))
        })
    }
}

/// The first text behind all that begin with `prefix`.
pub(crate) fn past(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.give_back(self.engine.clone(), conn);
        }
    }
}
