//! What tests share: stores of both engines, offices, given/when/then.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read their servers from the environment")]

mod given;
mod stores;

pub use given::{context, given, sealed_part};
pub use stores::{TestStore, office_id, setting};

/// Stamps every scenario, a function of a [`TestStore`], out for both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($scenario:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() { super::$scenario($crate::TestStore::sqlite()).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() { super::$scenario($crate::TestStore::postgres()).await; })*
        }
    };
}
