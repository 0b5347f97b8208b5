//! What must hold for any input, one module per target. libFuzzer runs them (see `run`), and `cargo test`
//! replays the corpus through them.
//!
//! A check that only waits for a panic misses most of what can go wrong, so each compares with a second
//! reading of the same input that shares no code with the first.

mod json;
mod text;

pub mod config_file;
pub mod error_body;
pub mod job_payload;
pub mod job_reference;
pub mod journal;
pub mod next_link;
pub mod printable;
pub mod retry_after;
pub mod stored_row;
pub mod token_answer;
