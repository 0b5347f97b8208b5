//! A state of the world, small and canonical.

use startguard::model::StartResult;

use super::{bounds::Bounds, fault::Fault};

pub(super) const MOST_HOLDERS: usize = 4;
pub(super) const MOST_MARKS: usize = 4;
pub(super) const MOST_POSTS: usize = 3;
pub(super) const MOST_TENANT: usize = 3;

/// A holder's place, or nobody's any more: its attempt is over or its process died.
pub(super) type Who = u8;
pub(super) const GONE: Who = u8::MAX;

/// What a read said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Saw {
    /// Paused.
    Stopped,
    /// Active.
    Runs,
    /// A code that nobody knows.
    Odd,
    /// There was no read (under a planted fault alone).
    Nothing,
}

/// What a decision rests on: what the read said, its age, and whether it was made under the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Seen {
    pub saw: Saw,
    pub age: u8,
    pub under_lease: bool,
}

/// Where an attempt stands. `as_of` is the age of the snapshot that its pending commit is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Holder {
    Idle,
    /// The records granted the lease; the commit is pending.
    Granting {
        as_of: u8,
    },
    /// The lease is durable; the read is next.
    Leased,
    Observed(Seen),
    /// Start was decided; the commit of the intent is pending.
    Intending {
        as_of: u8,
        seen: Seen,
    },
    /// The intent is durable; the POST is next.
    Permitted {
        mark: u8,
        seen: Seen,
    },
    /// Sent so long ago, and not answered yet.
    Posting {
        since: u8,
    },
    /// The answer was lost.
    Looking,
    /// A decision against a start is to be written.
    Renouncing(Saw),
    /// The outcome is to be written; `None`: no start was made, or it is given back.
    Closing(Option<Outcome>),
}

/// [`StartResult`], with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Outcome {
    Open,
    Started,
    Rejected,
    InDoubt,
}

impl From<StartResult> for Outcome {
    fn from(result: StartResult) -> Self {
        match result {
            StartResult::Open => Self::Open,
            StartResult::Started => Self::Started,
            StartResult::Rejected => Self::Rejected,
            StartResult::InDoubt => Self::InDoubt,
        }
    }
}

impl From<Outcome> for StartResult {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Open => Self::Open,
            Outcome::Started => Self::Started,
            Outcome::Rejected => Self::Rejected,
            Outcome::InDoubt => Self::InDoubt,
        }
    }
}

/// The lease in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LeaseMark {
    pub who: Who,
    pub age: u8,
}

/// A start in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mark {
    pub who: Who,
    pub age: u8,
    pub result: Outcome,
    pub looked: Option<u8>,
    pub forgiven: bool,
}

/// The job's record in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Rec {
    pub lease: Option<LeaseMark>,
    /// Oldest first.
    pub marks: [Option<Mark>; MOST_MARKS],
    pub held: bool,
}

/// A POST that may still act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Post {
    pub who: Who,
    pub age: u8,
}

/// The judge's own memory of a POST that was sent: whose, and the age of its intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sent {
    pub who: Who,
    pub intent: u8,
    pub forgiven: bool,
}

/// The promises that a step may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Promise {
    /// S1: no POST without a fresh read under the lease that said Paused.
    StateFirst,
    /// S2: one POST under way.
    OneInFlight,
    /// S2: the lease outlasts the POST's deadline.
    Fenced,
    /// S3: every POST has its durable intent, and keeps it.
    NeverForgotten,
    /// S4: one POST per intent, none inside the cool-down.
    NeverRepeated,
    /// S5: the budget of any window.
    Bounded,
    /// S6: nothing is decided on a clock that ran backwards, or against an operator's hold.
    FailClosed,
    /// No start reaches a job that an earlier guarded start set running.
    NoneOnRunning,
}

impl Promise {
    pub(super) fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub record: Rec,
    pub runs: bool,
    /// Since the job's state changed; reads may show the state before while it is under the lag.
    pub changed: u8,
    pub posts: [Option<Post>; MOST_POSTS],
    pub sent: [Option<Sent>; MOST_MARKS],
    pub holders: [Holder; MOST_HOLDERS],
    /// The tenant's record in the store: the ages of its starts, oldest first.
    pub(super) tenant: [Option<u8>; MOST_TENANT],
    /// The judge's own memory of the tenant's intents.
    pub(super) intents: [Option<u8>; MOST_TENANT],
    /// The store's clock stands behind its newest entry. No write ends that.
    pub behind: bool,
    pub broken: u16,
    /// Stale snapshots, kept under one planted fault alone (a commit that ignores versions).
    pub stale: Vec<Rec>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            record: Rec::default(),
            runs: false,
            changed: super::bounds::LONGEST,
            posts: [None; MOST_POSTS],
            sent: [None; MOST_MARKS],
            holders: [Holder::Idle; MOST_HOLDERS],
            tenant: [None; MOST_TENANT],
            intents: [None; MOST_TENANT],
            behind: false,
            broken: 0,
            stale: Vec::new(),
        }
    }

    pub(super) fn breaks(&mut self, promise: Promise) {
        self.broken |= promise.bit();
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> + '_ {
        self.record.marks.iter().flatten().copied()
    }

    pub(super) fn flights(&self) -> impl Iterator<Item = Post> + '_ {
        self.posts.iter().flatten().copied()
    }

    /// The attempt is over, or its process died: what it left behind is nobody's.
    pub(super) fn leave(&mut self, who: Who) {
        self.holders[usize::from(who)] = Holder::Idle;
        self.rename(|owner| if owner == who { GONE } else { owner });
    }

    fn rename(&mut self, name: impl Fn(Who) -> Who) {
        rename_record(&mut self.record, &name);
        for record in &mut self.stale {
            rename_record(record, &name);
        }
        for post in self.posts.iter_mut().flatten() {
            post.who = name(post.who);
        }
        for sent in self.sent.iter_mut().flatten() {
            sent.who = name(sent.who);
        }
    }

    /// One tick passes.
    pub(super) fn grow_older(&mut self, bounds: &Bounds) {
        let most = bounds.horizon();
        let older = |age: u8| (age + 1).min(most);
        age_record(&mut self.record, most);
        for record in &mut self.stale {
            age_record(record, most);
        }
        self.changed = (self.changed + 1).min(bounds.lag.max(1));
        for slot in &mut self.posts {
            // A request that has not acted by then is lost.
            *slot = slot.map(|post| Post { age: post.age + 1, ..post });
            *slot = slot.filter(|post| post.age <= bounds.flight());
        }
        for sent in self.sent.iter_mut().flatten() {
            sent.intent = older(sent.intent);
        }
        for age in self.tenant.iter_mut().chain(&mut self.intents).flatten() {
            *age = (*age + 1).min(bounds.minute());
        }
        let read = |seen: Seen| Seen { age: (seen.age + 1).min(bounds.oldest_read() + 1), ..seen };
        for holder in &mut self.holders {
            *holder = match *holder {
                Holder::Granting { as_of } => Holder::Granting { as_of: older(as_of) },
                Holder::Observed(seen) => Holder::Observed(read(seen)),
                Holder::Intending { as_of, seen } => {
                    Holder::Intending { as_of: older(as_of), seen: read(seen) }
                }
                Holder::Permitted { mark, seen } => {
                    Holder::Permitted { mark: older(mark), seen: read(seen) }
                }
                Holder::Posting { since } => {
                    Holder::Posting { since: (since + 1).min(bounds.deadline()) }
                }
                same @ (Holder::Idle
                | Holder::Leased
                | Holder::Looking
                | Holder::Renouncing(_)
                | Holder::Closing(_)) => same,
            };
        }
    }

    /// One of all the ways to write the same situation: what no decision can tell apart is made
    /// equal, and holders are put in order.
    pub(super) fn normal(mut self, bounds: &Bounds) -> Self {
        normal_record(&mut self.record, bounds);
        compact(&mut self.posts);
        for slot in &mut self.sent {
            *slot = slot.filter(|sent| sent.intent < bounds.horizon());
        }
        compact(&mut self.sent);
        for slot in self.tenant.iter_mut().chain(&mut self.intents) {
            *slot = slot.filter(|age| bounds.tenant.is_some() && *age < bounds.minute());
        }
        compact(&mut self.tenant);
        compact(&mut self.intents);
        for (place, holder) in self.holders.iter_mut().enumerate() {
            let who = u8::try_from(place).unwrap_or(GONE);
            if bounds.fault.is_some() {
                continue;
            }
            // Too old to be decided on, or to be sent on: that is what comes of it.
            if let Holder::Observed(seen) = *holder
                && seen.age > bounds.status_max_age
            {
                *holder = Holder::Renouncing(seen.saw);
            }
            if let Holder::Permitted { seen, .. } = *holder
                && seen.age > bounds.oldest_read()
            {
                *holder = Holder::Closing(None);
            }
            // Nothing to give back, nothing to release.
            let own = |mark: &Mark| mark.who == who;
            let leased = self.record.lease.is_some_and(|lease| lease.who == who);
            if *holder == Holder::Closing(None)
                && !leased
                && !self.record.marks.iter().flatten().any(own)
            {
                *holder = Holder::Idle;
            }
        }
        // Holders that have their own clocks are not interchangeable.
        match bounds.fault {
            Some(Fault::ReadersClock | Fault::IgnoreVersions) => self,
            _ => self.in_order(bounds.holders),
        }
    }

    fn in_order(mut self, holders: usize) -> Self {
        let key = |place: usize| {
            let who = u8::try_from(place).unwrap_or(GONE);
            let mut refers = 0_u16;
            let mut see = |owner: Who, bit: usize| {
                if owner == who {
                    refers |= 1 << bit;
                }
            };
            self.record.lease.into_iter().for_each(|lease| see(lease.who, 0));
            for (at, mark) in self.record.marks.iter().enumerate() {
                mark.iter().for_each(|mark| see(mark.who, 1 + at));
            }
            for (at, post) in self.posts.iter().enumerate() {
                post.iter().for_each(|post| see(post.who, 5 + at));
            }
            for (at, sent) in self.sent.iter().enumerate() {
                sent.iter().for_each(|sent| see(sent.who, 8 + at));
            }
            (self.holders[place], refers)
        };
        let mut order = [0, 1, 2, 3];
        let keys: [_; MOST_HOLDERS] = std::array::from_fn(key);
        order[..holders].sort_by_key(|place| keys[*place]);
        if order[..holders].is_sorted() {
            return self;
        }
        let mut place_of = [0; MOST_HOLDERS];
        for (new, old) in order.iter().enumerate() {
            place_of[*old] = u8::try_from(new).unwrap_or(GONE);
        }
        self.holders = order.map(|old| self.holders[old]);
        self.rename(|who| if who == GONE { GONE } else { place_of[usize::from(who)] });
        self
    }
}

fn rename_record(record: &mut Rec, name: &impl Fn(Who) -> Who) {
    if let Some(lease) = &mut record.lease {
        lease.who = name(lease.who);
    }
    for mark in record.marks.iter_mut().flatten() {
        mark.who = name(mark.who);
    }
}

fn age_record(record: &mut Rec, most: u8) {
    let older = |age: u8| (age + 1).min(most);
    if let Some(lease) = &mut record.lease {
        lease.age = older(lease.age);
    }
    for mark in record.marks.iter_mut().flatten() {
        mark.age = older(mark.age);
        mark.looked = mark.looked.map(older);
    }
}

fn normal_record(record: &mut Rec, bounds: &Bounds) {
    // A lease that ran out is no lease to any decision.
    let over = |lease: &LeaseMark| bounds.span(lease.age) >= bounds.lease_in_record();
    record.lease = record.lease.filter(|lease| !over(lease));
    for slot in &mut record.marks {
        *slot = slot.filter(|mark| mark.age < bounds.horizon());
        if let Some(mark) = slot {
            mark.looked = mark.looked.filter(|age| bounds.span(*age) < LOOK_AGAIN);
            if mark.age > bounds.cooldown + bounds.status_max_age {
                // Only its time counts by now.
                mark.result = Outcome::Started;
                mark.looked = None;
            }
        }
    }
    compact(&mut record.marks);
}

/// `decide`'s own pause between two looks at an intent in doubt.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Moves what there is to the front, in the same order.
fn compact<T: Copy, const N: usize>(slots: &mut [Option<T>; N]) {
    let mut kept = [None; N];
    for (to, from) in kept.iter_mut().zip(slots.iter().flatten()) {
        *to = Some(*from);
    }
    *slots = kept;
}
