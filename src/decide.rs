//! The pure core: given what is allowed, what was read and what is remembered, what happens now?
//!
//! No async, no I/O, no clock, no randomness, no logging. Every function maps values to values, so
//! the same code runs under every store, in property tests, in the model checker and in simulation.

mod breaker;
mod budget;
mod look_back;
mod operator;
mod outcome;
mod pace;
mod permit;
mod preflight;
mod start;

pub use breaker::{probe, read_failed, read_worked, throttled};
pub use look_back::{Deferral, Refusal, View, clock_behind, holder, look_back};
pub use operator::{hold, release, reset};
pub use outcome::{Settlement, StartReply, Unsent, record_outcome, settle};
pub use pace::{Quota, Turn, take_turn};
pub use permit::{Intent, Permit, Receipt};
pub use preflight::{Denial, Preflight, preflight};
pub use start::{Ask, Decision, Grant, acquire, look_again, rehearse, start};
