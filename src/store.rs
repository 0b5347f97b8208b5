//! The store adapters. What they have in common is here once: the JSON text of records, the
//! journal's chains and how they are checked. An adapter adds where the text is kept.

mod audit;
mod chain;
mod checkpoint;
mod fault;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzz;
mod memory;
mod migrate;
mod postgres;
mod prune;
mod sqlite;
mod text;

pub use memory::MemoryStore;
pub use migrate::{MigrateError, Migrated, migrate};
pub use postgres::{Password, PostgresStore};
pub use sqlite::SqliteStore;
