//! The one integration binary: a module per area.

mod architecture;
mod cli;
mod config;
mod crash;
mod docs;
mod emulator;
mod frame;
mod fuzz;
mod graph;
mod guard;
mod hosts;
mod identity;
mod pg;
mod processes;
mod processes_postgres;
mod steps;
mod store_contract;
mod store_migrate;
mod store_postgres;
mod store_postgres_faults;
mod store_prune;
mod store_sqlite_files;
mod store_sqlite_many;
mod store_sqlite_tamper;
mod store_support;
mod supply;
