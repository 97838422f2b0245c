//! Opening a store: the fence is raised, and what the writer needs of it is read.

use crate::{
    Setting, StoreError,
    batch::{Committed, Head},
    db::Conn,
    log,
    served::{self, Served},
    unit::LaneHead,
};

/// An opened store.
pub(crate) struct Opened {
    pub(crate) conn: Conn,
    pub(crate) committed: Committed,
    pub(crate) fence: u64,
    /// Whether the served rows were folded by other views than these.
    pub(crate) stale: bool,
    /// Held as long as the store is open; the operating system gives it back.
    _lock: Option<std::fs::File>,
}

impl Opened {
    /// Opens the store, raises the fence and reads how far the office is.
    pub(crate) async fn open(setting: &Setting) -> Result<Self, StoreError> {
        let lock = setting.engine.lock()?;
        let mut conn = Conn::open_writer(&setting.engine).await?;
        conn.begin().await?;
        conn.exec("UPDATE writer SET fence = fence + 1 WHERE id = 1", vec![]).await?;
        let rows = conn
            .rows(
                "SELECT fence, sequence, recorded, epoch, signer, parent FROM writer WHERE id = 1",
                vec![],
            )
            .await?;
        let row =
            rows.first().ok_or_else(|| StoreError::Unfit("the writer's row is gone".into()))?;
        let (fence, sequence) = (row.count(0)?, row.count(1)?);
        let recorded = kernel::Timestamp(row.int(2)?);
        let epoch = u32::try_from(row.int(3)?).unwrap_or(1);
        let signer = log::signer(&mut conn, &row.blob(4)?, setting).await?;
        setting.key.turn_to(&signer);
        // Nothing before the first commit of a program that knows of moves.
        let parent =
            kernel::OfficeId::parse(&row.text(5)?).or_else(|| setting.enrolled_below.clone());
        conn.commit().await?;
        let rows =
            conn.rows("SELECT position FROM received ORDER BY position DESC LIMIT 1", vec![]);
        let position = rows.await?.first().map_or(Ok(0), |row| row.count(0))?;
        let mut committed = Committed::default();
        for row in conn.rows("SELECT lane, origin, epoch, counter, hash FROM lanes", vec![]).await?
        {
            let origin = kernel::OfficeId::parse(&row.text(1)?)
                .ok_or_else(|| StoreError::Unfit("a lane's origin does not read".into()))?;
            let epoch = u32::try_from(row.int(2)?).unwrap_or(1);
            let head = LaneHead {
                origin,
                epoch,
                counter: row.count(3)?,
                hash: log::to_hash(&row.blob(4)?)?,
            };
            committed.lanes.insert(row.text(0)?, head);
        }
        committed.head = Head { sequence, position, recorded, epoch, signer, parent };
        let mut served = Served::read(&mut conn).await?;
        let schema = served::schema(&setting.views);
        if sequence == 0 && served.schema != schema {
            served.schema.clone_from(&schema);
            served.write(&mut conn).await?;
        }
        committed.generation = served.generation;
        setting.clock.drive(recorded);
        Ok(Self { conn, committed, fence, stale: served.schema != schema, _lock: lock })
    }

    /// How far the office is.
    pub(crate) const fn head(&self) -> &Head {
        &self.committed.head
    }
}
