//! One connection to either engine.
//!
//! The statements are the same for both; what differs is how a connection is
//! opened and what is checked then. An engine that would lose an acknowledged
//! commit in a power cut is refused here, before the first command.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row as _,
    migrate::Migrator,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow},
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow,
        SqliteSynchronous,
    },
};
use thiserror::Error;

use crate::Readers;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Where an office's store lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// A folder with `office.db`.
    Sqlite(PathBuf),
    /// A PostgreSQL server by URL, and the office's schema in it.
    Postgres {
        /// `postgres://…`
        url: String,
        /// The schema, one an office.
        schema: String,
    },
}

impl Engine {
    /// Takes the store for this process; PostgreSQL has its advisory lock instead.
    pub fn lock(&self) -> Result<Option<std::fs::File>, StoreError> {
        let Self::Sqlite(folder) = self else { return Ok(None) };
        let unfit = |error| StoreError::Unfit(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(unfit)?;
        let file = std::fs::File::create(folder.join("lock")).map_err(unfit)?;
        file.try_lock().map_err(|_| StoreError::Fenced)?;
        Ok(Some(file))
    }

    /// Whether there is a store.
    pub async fn exists(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(folder) => Ok(folder.join("office.db").exists()),
            Self::Postgres { schema, .. } => {
                let mut reader = Readers::new(1).take(self).await?;
                let sql = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = $1";
                let rows = reader.rows(sql, vec![schema.as_str().into()]).await?;
                Ok(rows.first().map_or(Ok(0), |row| row.count(0))? > 0)
            }
        }
    }
}

/// Why the store did not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A statement failed for what it holds; the others may go on.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
    /// The disk or the connection failed; nothing is certain until recovery.
    #[error("the store failed")]
    Broken(#[source] sqlx::Error),
    /// No space is left; nothing was written.
    #[error("no space is left for the store")]
    Full,
    /// Another process has taken the store over.
    #[error("another process writes to this store")]
    Fenced,
    /// The views are folded again, and what is asked for is not there yet.
    #[error("the views are folded again")]
    Rebuilding,
    /// The store or its setting is not what it must be.
    #[error("{0}")]
    Unfit(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            let code = database.code().unwrap_or_default().into_owned();
            if code == "13" || code == "53100" {
                return Self::Full;
            }
            // SQLite: constraint, mismatch, plain error. PostgreSQL: classes 22, 23, 42.
            let primary = code.parse::<u32>().map(|code| code & 0xff);
            let statement = matches!(primary, Ok(1 | 19 | 20)) && code.len() <= 4
                || ["22", "23", "42"]
                    .iter()
                    .any(|class| code.len() == 5 && code.starts_with(class));
            if statement {
                return Self::Statement(error);
            }
        }
        Self::Broken(error)
    }
}

/// An argument of a statement.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

/// One row of an answer.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// A number column.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A number column that is never negative.
    pub fn count(&self, column: usize) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.int(column)?).unwrap_or(0))
    }

    /// A text column.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A bytes column.
    pub fn blob(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.bytes(column).map(<[u8]>::to_vec)
    }

    /// A bytes column, where it lies.
    pub fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

/// A connection.
#[derive(Debug)]
pub enum Conn {
    /// To SQLite.
    Sqlite(Box<SqliteConnection>),
    /// To PostgreSQL.
    Postgres(Box<PgConnection>),
}

macro_rules! bound {
    ($arguments:ty, $sql:expr, $args:expr) => {{
        let mut query = sqlx::query::<_>(AssertSqlSafe($sql));
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Blob(value) => query.bind(value),
            };
        }
        let query: sqlx::query::Query<'_, _, $arguments> = query;
        query
    }};
}

impl Conn {
    /// Opens the writer's connection: migrates, checks, sets what must hold.
    pub async fn open_writer(engine: &Engine) -> Result<Self, StoreError> {
        match engine {
            Engine::Sqlite(folder) => {
                let options = sqlite(folder).create_if_missing(true);
                let mut conn = options.journal_mode(SqliteJournalMode::Wal).connect().await?;
                SQLITE.run_direct(None, &mut conn, false).await.map_err(migration)?;
                let mut conn = Self::Sqlite(Box::new(conn));
                conn.check_sqlite().await?;
                // After a write that failed, blocks in the middle of the log may be on
                // the disk in name only. What was read from it goes into the database,
                // and a log that begins anew leaves them behind.
                conn.rows("PRAGMA wal_checkpoint(TRUNCATE)", vec![]).await?;
                Ok(conn)
            }
            Engine::Postgres { url, schema } => {
                let mut conn = postgres(url, schema)?.connect().await?;
                let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
                sqlx::query(AssertSqlSafe(create)).execute(&mut conn).await?;
                POSTGRES.run_direct(None, &mut conn, false).await.map_err(migration)?;
                let mut conn = Self::Postgres(Box::new(conn));
                conn.check_postgres(schema).await?;
                Ok(conn)
            }
        }
    }

    /// Opens a reading connection; it takes a store as it is, also one that was just put back.
    pub async fn open_reader(engine: &Engine) -> Result<Self, StoreError> {
        Ok(match engine {
            Engine::Sqlite(folder) => {
                Self::Sqlite(Box::new(sqlite(folder).read_only(true).connect().await?))
            }
            Engine::Postgres { url, schema } => {
                Self::Postgres(Box::new(postgres(url, schema)?.connect().await?))
            }
        })
    }

    /// Opens a second writing connection, for a test's tampering only: it takes
    /// neither lock nor fence.
    #[doc(hidden)]
    pub async fn open_reader_writable(engine: &Engine) -> Result<Self, StoreError> {
        Ok(match engine {
            Engine::Sqlite(folder) => Self::Sqlite(Box::new(sqlite(folder).connect().await?)),
            Engine::Postgres { .. } => Self::open_reader(engine).await?,
        })
    }

    async fn check_sqlite(&mut self) -> Result<(), StoreError> {
        let version = self.one_text("SELECT sqlite_version()").await?;
        let number = |at: usize| version.split('.').nth(at).and_then(|n| n.parse::<u32>().ok());
        if (number(0), number(1), number(2)) < (Some(3), Some(51), Some(3)) {
            let why =
                format!("SQLite {version} can corrupt a WAL; 3.51.3 is the first that cannot");
            return Err(StoreError::Unfit(why));
        }
        let mode = self.one_text("PRAGMA journal_mode").await?;
        let rows = self.rows("PRAGMA synchronous", vec![]).await?;
        let synchronous = rows.first().map_or(Ok(0), |row| row.int(0))?;
        if mode != "wal" || synchronous != 2 {
            let why = format!("journal_mode={mode} synchronous={synchronous}, not wal and 2");
            return Err(StoreError::Unfit(why));
        }
        Ok(())
    }

    async fn check_postgres(&mut self, schema: &str) -> Result<(), StoreError> {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = self.one_text(&format!("SHOW {setting}")).await?;
            if value == "off" {
                return Err(StoreError::Unfit(format!("PostgreSQL runs with {setting}={value}")));
            }
        }
        let lock = "SELECT CASE WHEN pg_try_advisory_lock(hashtext($1)) THEN 1::bigint ELSE 0 END";
        let rows = self.rows(lock, vec![schema.into()]).await?;
        if rows.first().map_or(Ok(0), |row| row.int(0))? == 1 {
            Ok(())
        } else {
            Err(StoreError::Fenced)
        }
    }

    async fn one_text(&mut self, sql: &str) -> Result<String, StoreError> {
        let rows = self.rows(sql, vec![]).await?;
        rows.first().ok_or_else(|| StoreError::Unfit(format!("{sql}: no answer")))?.text(0)
    }

    /// Runs a statement; the number of rows it touched.
    pub async fn exec(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, StoreError> {
        let sql = sql.to_owned();
        Ok(match self {
            Self::Sqlite(conn) => {
                bound!(SqliteArguments, sql, args).execute(&mut **conn).await?.rows_affected()
            }
            Self::Postgres(conn) => {
                bound!(PgArguments, sql, args).execute(&mut **conn).await?.rows_affected()
            }
        })
    }

    /// Runs a query; all its rows.
    pub async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        let sql = sql.to_owned();
        Ok(match self {
            Self::Sqlite(conn) => {
                let rows = bound!(SqliteArguments, sql, args).fetch_all(&mut **conn).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(conn) => {
                let rows = bound!(PgArguments, sql, args).fetch_all(&mut **conn).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// How the `n`th argument is written in a statement that has many of them. SQLite
    /// looks for the name of a numbered one among all names, so there it has none.
    pub(crate) fn place(&self, n: usize) -> String {
        if matches!(self, Self::Sqlite(_)) { "?".to_owned() } else { format!("${n}") }
    }

    /// Begins a transaction that will write.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        let sql = if matches!(self, Self::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.exec(sql, vec![]).await.map(drop)
    }

    /// Begins a transaction whose reads all see one state.
    pub async fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.exec(sql, vec![]).await.map(drop)
    }

    /// Commits. An error here leaves the outcome unknown.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.exec("COMMIT", vec![]).await.map(drop)
    }

    /// Rolls back; the engine may have done so by itself.
    pub async fn rollback(&mut self) {
        let _ = self.exec("ROLLBACK", vec![]).await;
    }

    /// Closes the connection in an orderly way.
    pub async fn close(self) {
        let _ = match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        };
    }
}

fn migration(error: sqlx::migrate::MigrateError) -> StoreError {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => StoreError::from(error),
        other => StoreError::Unfit(format!("migration: {other}")),
    }
}

fn sqlite(folder: &std::path::Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(folder.join("office.db"))
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        // Pages in memory: 16 MiB at most of each connection, as they are used, and about
        // 96 MiB of all connections of the process together.
        .pragma("cache_size", "-16384")
        .pragma("soft_heap_limit", "100663296")
        // 16 MiB of the log before it goes into the database: a fifth more commands, measured.
        .pragma("wal_autocheckpoint", "4000")
        // A slice of a replay: whoever reads it is not woken for every fifty rows.
        .row_buffer_size(512)
        .disable_statement_logging()
}

fn postgres(url: &str, schema: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions =
        url.parse().map_err(|error| StoreError::Unfit(format!("PostgreSQL address: {error}")))?;
    // Plans are kept from when the tables were small; all we ask for has a key.
    let settings = [("search_path", schema), ("enable_seqscan", "off")];
    Ok(options.options(settings).disable_statement_logging())
}
