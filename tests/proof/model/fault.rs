//! Deliberate faults: what the guard would be without one of its rules. The checker must catch each.

/// A fault planted in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// Decides Paused without reading.
    SkipTheRead,
    /// Takes a code that it does not know for Paused.
    UnknownIsPaused,
    /// Does not ask how old the read is.
    OldReadWillDo,
    /// Asks how old the read is when it decides, and not again when it sends.
    FreshWhenDecidedOnly,
    /// Does not ask, when it decides, whether the lease is still its own.
    IgnoreTheLease,
    /// Sends without asking what time is left.
    IgnoreTheDeadline,
    /// Lets the permit last to the very end of the lease.
    NoMargin,
    /// Counts the permit's time from the store's acknowledgement.
    MarkAfterCommit,
    /// Does not renew the lease with the intent, and times the permit as if it had.
    LeaseNotRenewed,
    /// Lets go of the lease when the POST leaves.
    ReleaseBeforeSettle,
    /// POSTs first, and writes the intent when the answer is there.
    IntentAfterPost,
    /// Commits the intent without counting a start, and counts it when it is over.
    CountAtCompletion,
    /// Counts the cool-down from the answer.
    CooldownFromCompletion,
    /// POSTs although the store did not say that it has the intent.
    NoReceiptNeeded,
    /// Commits whatever version is stored.
    IgnoreVersions,
    /// Sends again under the same intent when told 503.
    RetryOn503,
    /// Sends again under the same intent when the answer was lost.
    RetryOnLostAnswer,
    /// A restarted process goes on with the open intent of the one that died.
    ResumeOpenIntent,
    /// Gives the intent back when the answer was lost.
    RefundOnUnclear,
    /// Gives back the open intent of a holder that is gone.
    RefundByAnother,
    /// Forgets that an earlier start is in doubt.
    ForgetInDoubt,
    /// Decides after the cool-down's end on a look at the doubt from before it.
    LookFromBefore,
    /// Does not keep to the cool-down.
    NoCooldown,
    /// Does not keep to the window's budget.
    NoWindow,
    /// Does not charge the tenant's budget with the intent.
    TenantNotCharged,
    /// An operator's reset forgives the cool-down, too.
    ResetForgivesCooldown,
    /// Reads the time from the caller's clock, which may be off.
    ReadersClock,
    /// Does not mind a clock behind the newest entry.
    ClockMayRunBackwards,
    /// Does not ask for an operator's hold again when it decides.
    HoldAskedOnce,
    /// Writes a lease without an end.
    LeaseWithoutEnd,
    /// Each look at an intent in doubt begins its cool-down anew.
    LookBeginsCooldown,
}
