//! The commands, one file per verb.

pub(super) mod completions;
pub(super) mod demo;
pub(super) mod doctor;
pub(super) mod emulator;
pub(super) mod history;
pub(super) mod hold;
pub(super) mod list;
pub(super) mod man;
pub(super) mod release;
pub(super) mod reset;
pub(super) mod start;
pub(super) mod status;
pub(super) mod store;
