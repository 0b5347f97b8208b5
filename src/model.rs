//! The nouns: plain data, checked once where it is made. No I/O, no clock, no policy.

mod answer;
mod auth;
mod cloud;
mod id;
mod job;
mod journal;
mod naming;
mod observation;
mod policy;
mod printable;
mod record;
mod reply;
mod time;

pub use answer::{Answer, GraphCost, ObservedFacts, OutcomeKind, QuarantineFacts, Reason};
pub use auth::AuthKind;
pub use cloud::Cloud;
pub use id::{
    Actor, AttemptId, FencingToken, IdError, JobId, JobKey, JobRef, ServicePrincipalId, TenantKey,
};
pub use job::{Job, Quarantine, ScheduleState, ServicePrincipal, StatusCode};
pub use journal::{
    BrokenLink, EntryFacts, EntryKind, HistoryQuery, JournalEntry, JournalHash, NewEntry,
    Verification,
};
pub use naming::{JobArg, NamingError, ServicePrincipalRef};
pub use observation::Observation;
pub use policy::{OnState, Policy};
pub use printable::{is_hidden, printable, printable_json};
pub use record::{Breaker, Hold, JobRecord, Lease, StartMark, StartResult, TenantRecord, Throttle};
pub use reply::Reply;
pub use time::{BootId, BootTime, Moment, Term, Tick, Timestamp};
