//! What the SQLite backends share: one thread for each file that owns the connection and commits calls in batches,
//! with the high-water marks that make repeats and stragglers change nothing.
//!
//! A backend turns an intent into a [`Change`]: one SQL statement and its values. Everything else is here.

mod catalog;
mod database;
mod failure;
mod lane;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use catalog::{Catalog, ExistingTable, TableKind};
pub(crate) use database::{Change, Database, OnNoRow};
