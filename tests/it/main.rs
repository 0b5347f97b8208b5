//! The one integration binary: a module per area.

mod config;
mod emulator;
mod guard;
mod identity;
mod processes;
mod store_contract;
mod store_sqlite_files;
mod store_sqlite_many;
mod store_sqlite_tamper;
mod store_support;
