//! x

pub mod emulator;
