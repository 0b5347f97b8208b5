//! The protocol as a state machine for stateright.
//!
//! The transition code is `startguard::decide` itself: every step that the guard's shell takes
//! (`src/guard/attempt.rs`, `settle.rs`) is one action here, and what it writes or allows is what
//! the real functions answer. The store is the value in [`World::record`], committed to atomically
//! under its version; Graph is one job and the POSTs under way to it.
//!
//! Time is relative. Every time in a state is an age in ticks, cut off where no decision can tell it
//! from an older one, and holders are interchangeable; so the states are finitely many although
//! time, attempts and crashes have no end, and "exhaustive" means all of them, not all up to a depth.

mod bounds;
mod explore;
mod fault;
mod judge;
mod liveness;
mod records;
mod rules;
mod steps;
mod tests;
mod world;
