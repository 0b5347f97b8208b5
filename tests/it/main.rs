//! The one integration binary: a module per area.

mod architecture;
mod cli;
mod config;
mod docs;
mod emulator;
mod graph;
mod guard;
mod identity;
mod processes;
mod store_contract;
mod store_sqlite_files;
mod store_sqlite_many;
mod store_sqlite_tamper;
mod store_support;
