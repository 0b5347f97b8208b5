//! x

mod emulator;
