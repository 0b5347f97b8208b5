//! Doubles and builders for tests and simulations (feature `testing`).

mod clock;
mod entropy;
mod graph;
mod receipt;
mod store;

pub use clock::ManualClock;
pub use entropy::CountingEntropy;
pub use graph::{ScriptedGraph, StartStep};
pub use receipt::acknowledged;
pub use store::{FaultyStore, StoreFault};
