//! Which rows are served, and which are folded beside them.
//!
//! Views fold into each other's rows (a finding's fold changes its round's row), so
//! they have one schema together: when one of them changes, all are folded again.

use std::sync::Arc;

use kernel::sign::Hash;

use crate::{StoreError, View, db::Conn, replay::Place};

/// The row of the store that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The generation that is read and written.
    pub(crate) generation: u64,
    /// The schema that it was folded with.
    pub(crate) schema: String,
    /// The generation beside it; 0 is none.
    pub(crate) beside: u64,
    /// The schema that it is folded with.
    pub(crate) beside_schema: String,
    /// How far it has come.
    pub(crate) at: Place,
}

/// What the views are, in one hash: their names and schemas in their order.
pub fn schema(views: &[Arc<dyn View>]) -> String {
    let said = views.iter().flat_map(|view| [view.name(), "\n", view.schema(), "\n"]);
    Hash::of(&said.map(str::as_bytes).collect::<Vec<_>>()).to_string()
}

impl Served {
    /// Reads it.
    pub(crate) async fn read(conn: &mut Conn) -> Result<Self, StoreError> {
        let sql = "SELECT served, schema, beside, beside_schema, sequence, position \
                   FROM view_sets WHERE id = 1";
        let rows = conn.rows(sql, vec![]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Unfit("view_sets is empty".into()))?;
        Ok(Self {
            generation: row.count(0)?,
            schema: row.text(1)?,
            beside: row.count(2)?,
            beside_schema: row.text(3)?,
            at: Place { sequence: row.count(4)?, position: row.count(5)? },
        })
    }

    /// Writes it; the caller commits.
    pub(crate) async fn write(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let sql = "UPDATE view_sets SET served = $1, schema = $2, beside = $3, \
                   beside_schema = $4, sequence = $5, position = $6 WHERE id = 1";
        let args = vec![
            self.generation.into(),
            self.schema.as_str().into(),
            self.beside.into(),
            self.beside_schema.as_str().into(),
            self.at.sequence.into(),
            self.at.position.into(),
        ];
        conn.exec(sql, args).await.map(drop)
    }

    /// The same with a fold of `schema` beside it: the one that was under way, or a new one.
    pub(crate) fn folding(self, schema: &str) -> Self {
        if self.beside != 0 && self.beside_schema == schema {
            return self;
        }
        let beside = self.generation.max(self.beside) + 1;
        Self { beside, beside_schema: schema.to_owned(), at: Place::default(), ..self }
    }

    /// The same with the fold beside it served.
    pub(crate) fn swapped(self) -> Self {
        Self {
            generation: self.beside,
            schema: self.beside_schema,
            beside: 0,
            beside_schema: String::new(),
            at: Place::default(),
        }
    }
}

/// How many rows of a generation that nobody needs go at once.
const SWEEP: u64 = 1_000;

/// Removes some rows that are neither served nor folded beside; how many.
pub(crate) async fn sweep(conn: &mut Conn) -> Result<u64, StoreError> {
    let Served { generation, beside, .. } = Served::read(conn).await?;
    let mut swept = 0;
    for (from, to) in [(0, generation), (generation + 1, beside)] {
        let sql = "DELETE FROM view_rows WHERE (generation, view, key) IN (SELECT generation, \
                   view, key FROM view_rows WHERE generation >= $1 AND generation < $2 LIMIT $3)";
        swept += conn.exec(sql, vec![from.into(), to.into(), SWEEP.into()]).await?;
    }
    Ok(swept)
}
