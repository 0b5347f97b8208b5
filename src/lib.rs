//! startguard: guarded starts for Microsoft Entra provisioning jobs.

pub mod cli;
pub mod clock;
pub mod config;
pub mod decide;
pub mod emulator;
pub mod entropy;
pub mod graph;
pub mod guard;
pub mod identity;
pub mod model;
pub mod ports;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
