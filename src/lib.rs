//! startguard: guarded starts for Microsoft Entra provisioning jobs.

pub mod clock;
pub mod decide;
pub mod emulator;
pub mod entropy;
pub mod guard;
pub mod identity;
pub mod model;
pub mod ports;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
