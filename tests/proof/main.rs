//! Proof by machine: the protocol explored exhaustively, and the whole guard simulated from a seed.
//!
//! `tests/proof/run` builds this with optimisation and runs it at its full size; a plain
//! `cargo test` runs the same tests on smaller bounds. What is shown, under which assumptions and
//! with which figures: docs/proof.md.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "all of it is test code: what cannot happen ends the test"
)]
#![expect(clippy::print_stdout, reason = "figures are printed for `--nocapture`")]

mod model;
mod simulation;
