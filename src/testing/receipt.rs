//! Receipts without a store, for the model checker, whose store is a value.

use crate::{decide::Receipt, model::AttemptId};

/// The receipt that a store would issue for a change whose last entry is this attempt's.
///
/// This is the one place outside the stores that makes one. It is compiled under the feature
/// `testing` alone, which no build of the program turns on: a permit without a durable intent
/// still does not compile anywhere else.
pub fn acknowledged(attempt: AttemptId) -> Receipt {
    Receipt::issue(Some(attempt))
}
