//! The steps that holders, Graph, operators and time can take, in any order.

use startguard::{
    decide::{self, StartReply},
    model::{Actor, JobRecord, Reply, TenantRecord},
};

use super::{
    bounds::Bounds,
    fault::Fault,
    records::Scene,
    rules::Records,
    world::{GONE, Holder, Mark, Outcome, Promise, Saw, Seen, Who, World},
};

/// How a commit ends for the one who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// Done, and told so.
    Done,
    /// Done, and the answer is lost.
    Lost,
    /// Not done.
    Failed,
}

pub(super) const ANSWERS: [Answered; 3] = [Answered::Done, Answered::Lost, Answered::Failed];

/// How a POST ends that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It acts, and its answer arrives.
    Accepted,
    /// It acts, and its answer is lost.
    AcceptedUnheard,
    /// It is refused with a clear no.
    Refused,
    /// It is refused with 503 and a Retry-After.
    ToldToWait,
    /// It is lost on the way.
    Lost,
}

pub(super) const FATES: [Fate; 5] =
    [Fate::Accepted, Fate::AcceptedUnheard, Fate::Refused, Fate::ToldToWait, Fate::Lost];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A tick passes.
    Tick,
    /// A holder that is idle loads the records and asks for the lease.
    Load(Who),
    /// It commits the lease.
    Grant(Who, Answered),
    /// It reads the job.
    Read(Who, Saw),
    /// The read fails.
    ReadFails(Who),
    /// It loads the records again and decides.
    Decide(Who),
    /// It commits the intent.
    Intend(Who, Answered),
    /// It checks the permit, by a clock that is so many ticks slow, and sends.
    Send(Who, u8),
    /// It checks the permit, and the connection cannot be made: nothing is sent.
    SendUnconnected(Who),
    /// What becomes of a POST under way.
    Arrive(usize, Fate),
    /// Its answer does not come: the connection closes, or the deadline passes.
    GiveUp(Who),
    /// It reads again, and settles for what it saw.
    Look(Who, Saw),
    /// It writes a decision against a start, and releases.
    Renounce(Who),
    /// It writes the outcome, and releases.
    Close(Who, Answered),
    /// Its process dies.
    Crash(Who),
    /// A person or the service stops the job.
    Stop,
    /// An operator puts the job on hold, or lifts it.
    Hold(bool),
    /// An operator gives the budget back.
    Reset,
    /// The store's clock is set back behind its newest entry, or right again. Nothing else changes
    /// that: stores date no entry before the newest, so that what is written meanwhile leaves the
    /// clock behind. A reset, which is a person's word that the clock is right, leaves it so here too.
    SetBack(bool),
    /// An intent to start another job of the tenant's is committed.
    Elsewhere,
}

/// The model that stateright explores.
#[derive(Debug)]
pub(super) struct Protocol {
    pub scene: Scene,
}

impl Protocol {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { scene: Scene::new(bounds) }
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.scene.bounds
    }

    /// The world after a step, with everybody in the place where they were.
    pub(super) fn take(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, step)?;
        Some(next)
    }

    /// In how many ticks an ask for the lease is told to ask again; `None`: it is granted.
    pub(super) fn deferred(&self, world: &World) -> Option<u32> {
        let after = self.scene.deferral(&self.records(world))?;
        let ticks = after.as_nanos().div_ceil(self.bounds().tick.as_nanos());
        Some(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// Everything a read may say now.
    pub(super) fn reads(&self, world: &World) -> impl Iterator<Item = Saw> + use<> {
        let now = if world.runs { Saw::Runs } else { Saw::Stopped };
        let before = if world.runs { Saw::Stopped } else { Saw::Runs };
        let stale = (world.changed < self.bounds().lag).then_some(before);
        [Some(now), stale, Some(Saw::Odd)].into_iter().flatten()
    }

    /// A write to the record. Whoever has a commit pending on the version before it will get a
    /// conflict and look again; so that is where it stands now.
    fn write(&self, world: &mut World, by: Who, record: &JobRecord) {
        let record = self.scene.deflate(record);
        if world.record == record {
            return;
        }
        world.record = record;
        if self.scene.has(Fault::IgnoreVersions) {
            return;
        }
        for (place, holder) in world.holders.iter_mut().enumerate() {
            if place == usize::from(by) {
                continue;
            }
            if let Holder::Granting { .. } = *holder {
                *holder = Holder::Idle;
            } else if let Holder::Intending { seen, .. } = *holder {
                *holder = Holder::Observed(seen);
            }
        }
    }

    /// A load. Under one planted fault its snapshot is kept, and committed over whatever is there.
    fn loaded(&self, world: &mut World, who: Who) {
        if self.scene.has(Fault::IgnoreVersions) {
            world.stale.resize(self.bounds().holders, world.record);
            world.stale[usize::from(who)] = world.record;
        }
    }

    /// Both records, as a load gets them.
    pub(super) fn records(&self, world: &World) -> Records {
        Records {
            job: self.scene.inflate(&world.record),
            tenant: self.scene.inflate_tenant(&world.tenant),
        }
    }

    /// The records that a pending commit is based on.
    fn base(&self, world: &World, who: Who) -> Records {
        let mut records = self.records(world);
        if let Some(stale) = world.stale.get(usize::from(who)) {
            records.job = self.scene.inflate(stale);
        }
        records
    }

    /// A write to the tenant's record, with an intent. Here the tenant's budget is judged.
    /// `intent` is its age: it counts from the load that it was decided on.
    fn charge(&self, world: &mut World, by: Who, intent: u8, tenant: &TenantRecord) {
        let Some(most) = self.bounds().tenant else { return };
        world.tenant = self.scene.deflate_tenant(tenant);
        let minute = self.bounds().minute();
        let within = world.intents.iter().flatten().filter(|age| age.abs_diff(intent) < minute);
        if within.count() >= usize::try_from(most).unwrap_or(0) {
            world.breaks(Promise::Bounded);
        }
        let room = put(&mut world.intents, intent);
        assert!(room || world.broken != 0, "a state holds too few intents: {world:?}");
        for (place, holder) in world.holders.iter_mut().enumerate() {
            if let (Holder::Intending { seen, .. }, true) = (*holder, place != usize::from(by)) {
                *holder = Holder::Observed(seen);
            }
        }
    }

    pub(super) fn holds_lease(world: &World, who: Who) -> bool {
        world.record.lease.is_some_and(|lease| lease.who == who)
    }

    pub(super) fn step(&self, world: &mut World, step: Step) -> Option<()> {
        let scene = &self.scene;
        let behind = world.behind;
        match step {
            Step::Tick => world.grow_older(self.bounds()),
            Step::Load(who) => {
                let record = self.records(world);
                let open = |mark: Mark| mark.who == GONE && mark.result == Outcome::Open;
                if scene.has(Fault::ResumeOpenIntent) && world.marks().any(open) {
                    world.holders[usize::from(who)] = Holder::Permitted { mark: 0, seen: FRESH };
                    return Some(());
                }
                scene.acquire(who, &record, 0, behind)?;
                self.loaded(world, who);
                world.holders[usize::from(who)] = Holder::Granting { as_of: 0 };
            }
            Step::Grant(who, answered) => {
                let Holder::Granting { as_of } = world.holders[usize::from(who)] else {
                    return None;
                };
                let next = match answered {
                    Answered::Done => Holder::Leased,
                    Answered::Lost | Answered::Failed => Holder::Closing(None),
                };
                if answered != Answered::Failed {
                    let base = self.base(world, who);
                    let record = scene.acquire(who, &base, as_of, behind)?;
                    self.write(world, who, &record);
                }
                world.holders[usize::from(who)] = next;
                if scene.has(Fault::SkipTheRead) && next == Holder::Leased {
                    let seen = Seen { saw: Saw::Nothing, ..FRESH };
                    world.holders[usize::from(who)] = Holder::Observed(seen);
                }
            }
            Step::Read(who, saw) => {
                let under_lease = Self::holds_lease(world, who);
                world.holders[usize::from(who)] =
                    Holder::Observed(Seen { saw, age: 0, under_lease });
            }
            Step::ReadFails(who) => world.holders[usize::from(who)] = Holder::Closing(None),
            Step::Decide(who) => {
                let Holder::Observed(seen) = world.holders[usize::from(who)] else {
                    return None;
                };
                let record = self.records(world);
                self.loaded(world, who);
                if scene.intend(who, &record, 0, behind, seen).is_none() {
                    world.holders[usize::from(who)] = Holder::Renouncing(seen.saw);
                    return Some(());
                }
                if behind || world.record.held {
                    world.breaks(Promise::FailClosed);
                }
                world.holders[usize::from(who)] = if scene.has(Fault::IntentAfterPost) {
                    Holder::Permitted { mark: 0, seen }
                } else {
                    Holder::Intending { as_of: 0, seen }
                };
            }
            Step::Intend(who, answered) => {
                let Holder::Intending { as_of, seen } = world.holders[usize::from(who)] else {
                    return None;
                };
                if answered != Answered::Failed {
                    let base = self.base(world, who);
                    let records = scene.intend(who, &base, as_of, behind, seen)?;
                    self.write(world, who, &records.job);
                    self.charge(world, who, as_of, &records.tenant);
                }
                let mark = if scene.has(Fault::MarkAfterCommit) { 0 } else { as_of };
                let told = answered == Answered::Done || scene.has(Fault::NoReceiptNeeded);
                world.holders[usize::from(who)] = match told {
                    true => Holder::Permitted { mark, seen },
                    false => Holder::Closing(None),
                };
            }
            Step::Send(who, slow) => {
                let Holder::Permitted { mark, seen } = world.holders[usize::from(who)] else {
                    return None;
                };
                if scene.may_send(who, mark, seen, slow) {
                    self.sent(world, who, seen);
                } else {
                    world.holders[usize::from(who)] = scene.settle(&StartReply::TooLate);
                }
            }
            Step::SendUnconnected(who) => {
                let reply = StartReply::NotSent { problem: String::new() };
                world.holders[usize::from(who)] = scene.settle(&reply);
            }
            Step::Arrive(at, fate) => self.arrive(world, at, fate)?,
            Step::GiveUp(who) => {
                let reply = StartReply::Unclear { problem: String::new() };
                world.holders[usize::from(who)] = match scene.has(Fault::RetryOnLostAnswer) {
                    true => Holder::Permitted { mark: 0, seen: FRESH },
                    false => scene.settle(&reply),
                };
            }
            Step::Look(who, saw) => {
                let result = if saw == Saw::Runs { Outcome::Started } else { Outcome::InDoubt };
                world.holders[usize::from(who)] = Holder::Closing(Some(result));
            }
            Step::Renounce(who) => {
                let Holder::Renouncing(saw) = world.holders[usize::from(who)] else {
                    return None;
                };
                let record = scene.renounce(who, scene.inflate(&world.record), saw);
                self.write(world, who, &record);
                world.leave(who);
            }
            Step::Close(who, answered) => {
                let Holder::Closing(result) = world.holders[usize::from(who)] else {
                    return None;
                };
                let record = scene.close(who, scene.inflate(&world.record), result);
                self.write(world, who, &record);
                if answered == Answered::Done {
                    world.leave(who);
                }
            }
            Step::Crash(who) => world.leave(who),
            Step::Stop => {
                world.runs = false;
                world.changed = 0;
            }
            Step::Hold(on) => {
                let record = scene.inflate(&world.record);
                let now = scene.moment(0);
                let record = match on {
                    true => decide::hold(record, &now, Actor(String::new()), String::new(), None),
                    false => decide::release(record, &now)?,
                };
                self.write(world, GONE, &record);
            }
            Step::Reset => {
                let (mut record, _) = decide::reset(scene.inflate(&world.record));
                if scene.has(Fault::ResetForgivesCooldown) {
                    record.starts.clear();
                }
                self.write(world, GONE, &record);
                world.sent.iter_mut().flatten().for_each(|sent| sent.forgiven = true);
            }
            Step::SetBack(on) => world.behind = on,
            Step::Elsewhere => {
                let tenant = scene.elsewhere(scene.inflate_tenant(&world.tenant), behind)?;
                self.charge(world, GONE, 0, &tenant);
            }
        }
        self.judge(world);
        Some(())
    }

    fn arrive(&self, world: &mut World, at: usize, fate: Fate) -> Option<()> {
        let post = world.posts[at].take()?;
        if matches!(fate, Fate::Accepted | Fate::AcceptedUnheard) {
            if world.runs && !self.bounds().untimed {
                world.breaks(Promise::NoneOnRunning);
            }
            world.runs = true;
            world.changed = 0;
        }
        let reply = Reply { status: 0, code: None, message: None, request_id: None };
        let reply = match fate {
            Fate::Accepted => StartReply::Accepted,
            Fate::Refused => StartReply::Rejected(Reply { status: 403, ..reply }),
            Fate::ToldToWait => StartReply::Throttled { reply, retry_after: None },
            Fate::AcceptedUnheard | Fate::Lost => return Some(()),
        };
        let heard = world.holders.get_mut(usize::from(post.who))?;
        *heard = match self.scene.has(Fault::RetryOn503) && fate == Fate::ToldToWait {
            true => Holder::Permitted { mark: 0, seen: FRESH },
            false => self.scene.settle(&reply),
        };
        Some(())
    }
}

/// A read as fresh as can be.
const FRESH: Seen = Seen { saw: Saw::Stopped, age: 0, under_lease: true };

/// Puts one more where there is room; false where there is none.
pub(super) fn put<T, const N: usize>(slots: &mut [Option<T>; N], one: T) -> bool {
    match slots.iter_mut().find(|slot| slot.is_none()) {
        Some(slot) => {
            *slot = Some(one);
            true
        }
        None => false,
    }
}
