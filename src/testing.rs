//! In-process doubles for tests and simulations (feature `testing`).

mod clock;

pub use clock::ManualClock;
