//! startguard: guarded starts for Microsoft Entra provisioning jobs.

pub mod decide;
pub mod emulator;
pub mod guard;
pub mod model;
pub mod ports;
#[cfg(feature = "testing")]
pub mod testing;
