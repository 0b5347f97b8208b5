//! The whole guard, several hosts of it, over simulated time, store and Graph, in one thread, from
//! a seed.
//!
//! Everything under the guard's ports is simulated; everything above them is the guard itself. A
//! seed fixes the fleet, the settings and a schedule of events (crashes, pauses, outages, storms,
//! operators, people in the portal); the dice of latencies and losses are thrown in the order in
//! which the one thread gets to them. So a seed replays exactly, and a failing one is printed, with
//! its schedule reduced to what still fails.
//!
//! The judge is the simulated Graph's own count (`judge`), never the guard's journal or answers.

mod dice;
mod fleet;
mod graph;
mod judge;
mod process;
mod run;
mod schedule;
mod store;
mod tests;
