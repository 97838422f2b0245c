//! Papers: uploaded at the own office, sent to the hub, fetched from it; in pieces, so
//! that a network that fails costs the piece and not the paper.
//!
//! ```text
//! HEAD /…/papers/{hash}   200 it is here; 404 with Upload-Offset: so many bytes of yours are
//! PUT  /…/papers/{hash}   Content-Range: bytes 0-262143/20971520  → 202 with Upload-Offset
//!                         the last piece → the whole has the hash, or is thrown away (422)
//! GET  /…/papers/{hash}   Range: bytes=262144-                    → 206
//! ```
//! The partial PUT of RFC 9110 (14.5): a paper has its name before it has its bytes, so
//! that `PUT` to this name, repeated, is the same; `PATCH` would be neither idempotent
//! nor have a registered media type for this.

mod again;
mod clerks;
mod coming;
mod going;
mod hub;
mod hub_client;
mod runner;
mod signed;

pub use clerks::routes;
pub use hub::hub_routes;
pub use runner::PaperRunner;
