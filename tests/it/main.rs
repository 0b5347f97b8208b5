//! The one integration test binary.

mod emulator;
mod guard;
