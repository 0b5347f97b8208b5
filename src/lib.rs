//! startguard: guarded starts for Microsoft Entra provisioning jobs.

pub mod clock;
pub mod decide;
pub mod emulator;
pub mod entropy;
pub mod graph;
pub mod guard;
pub mod model;
pub mod ports;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
