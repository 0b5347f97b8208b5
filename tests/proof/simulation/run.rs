//! Runs one schedule.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use startguard::{
    guard::{Guard, PaceSettings, Parts, Request},
    model::{Actor, Answer, EntryKind, HistoryQuery, OutcomeKind, Reason},
    ports::Store as _,
    store::MemoryStore,
};
use tokio_util::sync::CancellationToken;

use super::{
    dice::{Dice, Ids},
    fleet::{Fleet, State},
    graph::Line,
    judge::{Cause, Count},
    process::{Process, Time},
    schedule::{RATE, Schedule, What},
    store::{LATE_COMMIT, Wire},
};

const SECOND: Duration = Duration::from_secs(1);

/// What a run showed.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) violations: Vec<String>,
    pub(super) count: Count,
    pub(super) answers: BTreeMap<String, u64>,
    /// Differs where any answer differs, or comes at another time.
    pub(super) digest: u64,
}

/// Runs a schedule in a runtime of its own, whose time is paused.
pub(super) fn run(schedule: &Schedule) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(World::run(schedule))
}

#[derive(Debug)]
struct World {
    schedule: Schedule,
    fleet: Arc<Fleet>,
    store: MemoryStore,
    processes: AtomicU64,
    hosts: Mutex<Vec<(Arc<Process>, Guard)>>,
    storms: Mutex<Vec<Duration>>,
    told: Mutex<(BTreeMap<String, u64>, DefaultHasher)>,
}

impl World {
    async fn run(schedule: &Schedule) -> Report {
        let time = Time::begin();
        let fleet = Arc::new(Fleet::new(schedule, time));
        let store = MemoryStore::new(Arc::clone(&fleet.clock) as _);
        let world = Arc::new(Self {
            schedule: schedule.clone(),
            store,
            processes: AtomicU64::new(1),
            hosts: Mutex::default(),
            storms: Mutex::new(vec![Duration::ZERO; schedule.hosts]),
            told: Mutex::default(),
            fleet,
        });
        for host in 0..schedule.hosts {
            world.boot(host);
        }
        for event in &schedule.events {
            time.sleep_until(event.at).await;
            world.happens(event.what.clone());
        }
        time.sleep_until(schedule.lasts).await;
        world.ends_well().await;
        world.report().await
    }

    /// A process begins on this host, with callers of its own.
    fn boot(self: &Arc<Self>, host: usize) {
        let id = self.processes.fetch_add(1, Ordering::Relaxed);
        let dice = Dice::new(self.schedule.seed ^ (id << 32), "process");
        let process = Arc::new(Process {
            time: self.fleet.time,
            host,
            rate: 1_000 - RATE + u32::try_from(dice.below(u64::from(2 * RATE))).expect("small"),
            offset: dice.span(SECOND, 1_000_000 * SECOND),
            dead: false.into(),
            frozen_until: Mutex::default(),
        });
        let number = |n| NonZeroU32::new(n).expect("not zero");
        let guard = Guard::new(Parts {
            store: Arc::new(Wire {
                fleet: Arc::clone(&self.fleet),
                process: Arc::clone(&process),
                store: self.store.clone(),
            }),
            graph: Arc::new(Line {
                fleet: Arc::clone(&self.fleet),
                process: Arc::clone(&process),
                id,
            }),
            clock: Arc::clone(&process) as _,
            entropy: Arc::new(Ids { dice, process: id, next: AtomicU64::new(1) }),
            tenant: Fleet::tenant(),
            pace: PaceSettings {
                requests_per_second: number(5),
                burst: number(10),
                patience: 10 * SECOND,
            },
            process: format!("process {id}"),
            stop: CancellationToken::new(),
        });
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() <= host {
            hosts.push((Arc::clone(&process), guard.clone()));
        } else {
            hosts[host] = (Arc::clone(&process), guard.clone());
        }
        drop(hosts);
        for caller in 0..self.schedule.callers {
            let world = Arc::clone(self);
            let (process, guard) = (Arc::clone(&process), guard.clone());
            let purpose = format!("caller {id} {caller}");
            let dice = Dice::new(self.schedule.seed, &purpose);
            tokio::spawn(async move { world.call(&process, &guard, &dice).await });
        }
    }

    /// A caller: asks, is told, waits, asks again.
    async fn call(&self, process: &Process, guard: &Guard, dice: &Dice) {
        loop {
            let storm = self.storms.lock().unwrap_or_else(PoisonError::into_inner)[process.host];
            let pause = match self.fleet.time.now() < storm {
                true => dice.span(SECOND / 100, 5 * SECOND),
                false => dice.span(SECOND, 1_200 * SECOND),
            };
            self.fleet.time.sleep(pause).await;
            process.live().await;
            if self.fleet.weather().calm {
                return;
            }
            let job = usize::try_from(dice.below(self.schedule.jobs as u64)).expect("small");
            let request = Request {
                job: Fleet::job(job),
                policy: self.fleet.policy.clone(),
                actor: Actor("caller".to_owned()),
                accept: Vec::new(),
                reason: None,
                dry_run: dice.one_in(10),
                lease_wait: if dice.one_in(4) { 30 * SECOND } else { Duration::ZERO },
                wait: dice.one_in(6).then_some(60 * SECOND),
            };
            let answer = guard.start(request).await;
            self.hear(job, &answer);
        }
    }

    /// An answer must not claim what did not happen.
    fn hear(&self, job: usize, answer: &Answer) {
        let now = self.fleet.time.now();
        {
            let mut shared = self.fleet.shared();
            let posts = shared.judge.posts_of(answer.attempt_id);
            let mut lies = Vec::new();
            let may_follow_a_post = match answer.outcome {
                OutcomeKind::Started | OutcomeKind::InDoubt | OutcomeKind::Failed => true,
                OutcomeKind::Deferred => answer.reason == Some(Reason::Throttled),
                OutcomeKind::AlreadyRunning | OutcomeKind::WouldStart | OutcomeKind::Denied => {
                    false
                }
            };
            if posts > 0 && !may_follow_a_post {
                lies.push(format!("answered {} after a POST", answer.outcome));
            }
            if posts != answer.graph.starts {
                lies.push(format!("told of {} POSTs, not {posts}", answer.graph.starts));
            }
            if posts == 0 && answer.outcome == OutcomeKind::Started {
                lies.push("answered started without a POST".to_owned());
            }
            shared.judge.broken(now, job, lies);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = answer.reason.map_or("", Reason::as_str);
        *told.0.entry(format!("{}/{reason}", answer.outcome)).or_default() += 1;
        (now, job, answer.outcome, answer.reason, answer.attempt_id).hash(&mut told.1);
    }

    fn happens(self: &Arc<Self>, what: What) {
        let now = self.fleet.time.now();
        let host =
            |host: usize| self.hosts.lock().unwrap_or_else(PoisonError::into_inner)[host].clone();
        match what {
            What::Crash { host: at, back_after } => self.crash(at, back_after),
            What::Freeze { host: at, span } => host(at).0.freeze(span),
            What::Storm { host: at, span } => {
                self.storms.lock().unwrap_or_else(PoisonError::into_inner)[at] = now + span;
            }
            What::StoreAway(span) => self.fleet.shared().weather.store_away = now + span,
            What::StoreIll(span) => self.fleet.shared().weather.store_ill = now + span,
            What::GraphAway(span) => self.fleet.shared().weather.graph_away = now + span,
            What::GraphIll(span) => self.fleet.shared().weather.graph_ill = now + span,
            What::Throttle(span) => self.fleet.shared().weather.throttled = now + span,
            What::SetClock(off) => self.fleet.clock.set(off),
            What::Reboot { back_after } => {
                self.fleet.clock.reboot();
                (0..self.schedule.hosts).for_each(|at| self.crash(at, back_after));
            }
            What::Stop { job, quarantine } => {
                let state = if quarantine { State::Quarantine } else { State::Paused };
                self.fleet.shared().set(job, state, now);
            }
            What::Resume { job } => {
                self.fleet.shared().set(job, State::Running(Cause::Person), now);
            }
            What::Hold { job, span } => self.operate(job, Operation::Hold(span)),
            What::Release { job } => self.operate(job, Operation::Release),
            What::Reset { job } => self.operate(job, Operation::Reset),
        }
    }

    fn crash(self: &Arc<Self>, at: usize, back_after: Duration) {
        let is_dead = move |world: &Self| {
            world.hosts.lock().unwrap_or_else(PoisonError::into_inner)[at].0.is_dead()
        };
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)[at].0.die();
        let world = Arc::clone(self);
        tokio::spawn(async move {
            world.fleet.time.sleep(back_after).await;
            // Unless it came back after another crash meanwhile.
            if is_dead(&world) {
                world.boot(at);
            }
        });
    }

    /// An operator's command, from a host that is up.
    fn operate(self: &Arc<Self>, job: usize, operation: Operation) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, guard)) = hosts.iter().find(|(process, _)| !process.is_dead()).cloned() else {
            return;
        };
        drop(hosts);
        let world = Arc::clone(self);
        tokio::spawn(async move {
            let (target, actor) = (Fleet::job(job), Actor("operator".to_owned()));
            let time = world.fleet.time;
            let asked = time.now();
            match operation {
                Operation::Hold(span) => {
                    world.fleet.shared().judge.commanded(job);
                    let held = guard.hold(&target, &actor, "simulated", span).await.is_ok();
                    let now = time.now();
                    let until = span.map_or(Duration::MAX, |span| asked + span);
                    let made_by = if held { now } else { now + LATE_COMMIT };
                    let hold = held.then_some((now, until));
                    world.fleet.shared().judge.obeyed(job, asked, hold, made_by);
                }
                Operation::Release => {
                    world.fleet.shared().judge.commanded(job);
                    drop(guard.release(&target, &actor).await);
                    let made_by = time.now() + LATE_COMMIT;
                    world.fleet.shared().judge.obeyed(job, asked, None, made_by);
                }
                Operation::Reset => {
                    world.fleet.shared().judge.reset(job, Duration::MAX);
                    drop(guard.reset(&target, &actor, "simulated").await);
                    // Also one whose answer was lost may be made, for a while.
                    let by = time.now() + LATE_COMMIT;
                    world.fleet.shared().judge.reset(job, by);
                }
            }
        });
    }

    /// With all well again, each job is started within what its budget allows.
    async fn ends_well(self: &Arc<Self>) {
        let time = self.fleet.time;
        {
            let mut shared = self.fleet.shared();
            shared.weather = super::fleet::Weather { calm: true, ..Default::default() };
        }
        // Nothing goes on before the clock has passed its newest entry; so it is set on, not back.
        self.fleet.clock.set(self.furthest_set());
        let hosts: Vec<_> =
            self.hosts.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        hosts.iter().for_each(|(process, _)| process.die());
        // What is under way has landed, and no read lags, after this.
        time.sleep(super::schedule::MESSAGE + super::schedule::LAG).await;
        self.boot(0);
        let guard = self.hosts.lock().unwrap_or_else(PoisonError::into_inner)[0].1.clone();
        let policy = self.fleet.policy.clone();
        for job in 0..self.schedule.jobs {
            let (target, actor) = (Fleet::job(job), Actor("operator".to_owned()));
            self.fleet.shared().judge.commanded(job);
            let released = guard.release(&target, &actor).await;
            self.fleet.shared().set(job, State::Paused, time.now());
            time.sleep(super::schedule::LAG).await;
            let mut asks = Vec::new();
            let mut waited = Duration::ZERO;
            let most = policy.window + policy.cooldown + policy.lease + 120 * SECOND;
            loop {
                let answer = guard
                    .start(Request {
                        job: target.clone(),
                        policy: policy.clone(),
                        actor: actor.clone(),
                        accept: Vec::new(),
                        reason: None,
                        dry_run: false,
                        lease_wait: Duration::ZERO,
                        wait: None,
                    })
                    .await;
                self.hear(job, &answer);
                asks.push(format!("{} ({waited:?})", answer.message));
                if let State::Running(_) = self.fleet.shared().state(job) {
                    break;
                }
                let pause = Duration::from_secs(answer.retry_after_seconds.unwrap_or(1).max(1));
                waited += pause;
                if waited > most || asks.len() > 8 {
                    let stuck = format!("L: not started within {most:?}, {released:?}: {asks:#?}");
                    self.fleet.shared().judge.broken(time.now(), job, vec![stuck]);
                    break;
                }
                time.sleep(pause).await;
            }
        }
    }

    fn furthest_set(&self) -> i64 {
        let set = self.schedule.events.iter().filter_map(|event| {
            if let What::SetClock(off) = event.what { Some(off) } else { None }
        });
        set.max().unwrap_or_default().max(0)
    }

    async fn report(&self) -> Report {
        // S3: every POST has its intent in the journal, and the journal is whole.
        let everything = HistoryQuery { job: None, limit: None, since: None };
        let history = self.store.history(&everything).await.expect("a journal");
        let intents: std::collections::BTreeSet<_> = history
            .iter()
            .filter(|entry| entry.facts.kind == EntryKind::Intent)
            .filter_map(|entry| entry.facts.attempt_id)
            .collect();
        let verified = self.store.verify().await.expect("a journal");
        let now = self.fleet.time.now();
        let mut shared = self.fleet.shared();
        let forgotten: Vec<_> = shared
            .judge
            .attempts()
            .filter(|attempt| !intents.contains(attempt))
            .map(|attempt| format!("S3: a POST of {attempt} without an intent"))
            .collect();
        shared.judge.broken(now, 0, forgotten);
        if verified.broken.is_some() {
            shared.judge.broken(now, 0, vec![format!("the journal is broken: {verified:?}")]);
        }
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            violations: shared.judge.violations.clone(),
            count: shared.judge.count,
            answers: told.0.clone(),
            digest: told.1.finish(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Hold(Option<Duration>),
    Release,
    Reset,
}
