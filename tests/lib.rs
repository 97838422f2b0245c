//! Tests that see more than one crate.
