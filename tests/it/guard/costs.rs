//! S7 and S8 over random histories: what every ask costs, and that nobody asks who was told to wait.
//!
//! The counts are the scripted Graph's, never the answer's own.

use std::time::Duration;

use proptest::prelude::*;
use startguard::{
    decide::StartReply,
    guard::{Guard, Request},
    model::{Answer, Job, JobRef, OutcomeKind, Reason, ScheduleState, StatusCode, Tick},
    ports::{Clock as _, GraphError},
    testing::{ScriptedGraph, StartStep},
};

use super::world::{World, actor, another_job, job, paused, policy, reply, request, running};

/// Something that happens, or that somebody asks.
#[derive(Debug, Clone)]
enum Step {
    TimePasses(u64),
    JobIs(usize, State),
    NextReadThrottled(u64),
    NextStart(Start),
    Hold(usize, u64),
    Start { process: usize, job: usize, dry_run: bool },
    Status { process: usize, job: usize },
    List { process: usize },
}

#[derive(Debug, Clone, Copy)]
enum State {
    Paused,
    Running,
    NeverRun,
    TooManyDeletes,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Works,
    Lost { effect: bool },
    Throttled(u64),
    Forbidden,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state = prop_oneof![
        4 => Just(State::Paused),
        1 => Just(State::Running),
        1 => Just(State::NeverRun),
        1 => Just(State::TooManyDeletes),
        1 => Just(State::Unknown),
    ];
    let start = prop_oneof![
        Just(Start::Works),
        any::<bool>().prop_map(|effect| Start::Lost { effect }),
        (1..1_000_u64).prop_map(Start::Throttled),
        Just(Start::Forbidden),
    ];
    // Short times and long: within a cool-down (600 s), past it, and past the window.
    let span = prop_oneof![4 => 0..30_u64, 4 => 100..1_000_u64, 1 => 80_000..90_000_u64];
    let step = prop_oneof![
        4 => span.prop_map(Step::TimePasses),
        4 => (0..2_usize, state).prop_map(|(job, state)| Step::JobIs(job, state)),
        1 => (1..1_000_u64).prop_map(Step::NextReadThrottled),
        2 => start.prop_map(Step::NextStart),
        1 => (0..2_usize, 1..2_000_u64).prop_map(|(job, span)| Step::Hold(job, span)),
        8 => (0..2_usize, 0..2_usize, proptest::bool::weighted(0.2))
            .prop_map(|(process, job, dry_run)| Step::Start { process, job, dry_run }),
        2 => (0..2_usize, 0..2_usize).prop_map(|(process, job)| Step::Status { process, job }),
        1 => (0..2_usize).prop_map(|process| Step::List { process }),
    ];
    prop::collection::vec(step, 1..40)
}

impl State {
    fn job(self) -> Job {
        match self {
            Self::Paused => paused(),
            Self::Running => running(),
            Self::NeverRun => ScriptedGraph::job(StatusCode::NotRun, ScheduleState::Disabled),
            Self::TooManyDeletes => ScriptedGraph::quarantined("TooManyDeletes"),
            Self::Unknown => {
                let code = StatusCode::parse(Some("Resting"));
                ScriptedGraph::job(code, ScheduleState::Disabled)
            }
        }
    }
}

impl Start {
    fn step(self) -> StartStep {
        match self {
            Self::Works => StartStep::Works,
            Self::Lost { effect } => StartStep::Lost { effect },
            Self::Throttled(seconds) => StartStep::Answers(StartReply::Throttled {
                reply: reply(429),
                retry_after: Some(Duration::from_secs(seconds)),
            }),
            Self::Forbidden => StartStep::Answers(StartReply::Rejected(reply(403))),
        }
    }
}

/// Two processes, two jobs, and until when Graph said to wait.
struct Play {
    world: World,
    guards: [Guard; 2],
    jobs: [JobRef; 2],
    /// Scripted, and not met by anybody yet.
    read_throttle: Option<Duration>,
    starts: std::collections::VecDeque<Start>,
    told_to_wait: Option<Tick>,
}

/// What reached Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    reads: usize,
    posts: usize,
}

impl Play {
    fn new() -> Self {
        let world = World::new();
        let (guards, jobs) = ([world.another(), world.another()], [job(), another_job()]);
        world.graph.set(&jobs[1].key, paused());
        let (read_throttle, told_to_wait) = (None, None);
        Self { world, guards, jobs, read_throttle, starts: Default::default(), told_to_wait }
    }

    fn reached(&self) -> Cost {
        let posts = self.jobs.iter().map(|job| self.world.graph.posts(&job.key).len()).sum();
        Cost { reads: usize::try_from(self.world.graph.reads()).unwrap_or(usize::MAX), posts }
    }

    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::TimePasses(seconds) => self.world.clock.advance(Duration::from_secs(seconds)),
            Step::JobIs(job, state) => self.world.graph.set(&self.jobs[job].key, state.job()),
            Step::NextReadThrottled(seconds) if self.read_throttle.is_none() => {
                let wait = Duration::from_secs(seconds);
                self.read_throttle = Some(wait);
                self.world.graph.next_read_throttles(503, wait);
                self.world.graph.next_read_fails(GraphError::Throttled {
                    reply: reply(503),
                    retry_after: Some(wait),
                });
            }
            Step::NextReadThrottled(_) => {}
            Step::NextStart(start) => {
                self.starts.push_back(start);
                self.world.graph.next_start(start.step());
            }
            Step::Hold(job, seconds) => {
                let (lasts, actor) = (Some(Duration::from_secs(seconds)), actor());
                let held = self.guards[0].hold(&self.jobs[job], &actor, "maintenance", lasts);
                prop_assert!(held.await.is_ok());
            }
            Step::Start { process, job, dry_run } => self.start(process, job, dry_run).await?,
            Step::Status { process, job } => {
                let (before, waits) = (self.reached(), self.waits());
                self.guards[process].status(self.jobs[job].clone(), policy(), actor()).await;
                let cost = self.since(before);
                prop_assert_eq!(cost, Cost { reads: usize::from(!waits), posts: 0 });
            }
            // A list is not counted by the scripted Graph; whether it was asked for is its answer.
            Step::List { process } if self.read_throttle.is_none() => {
                let waits = self.waits();
                let listed = self.guards[process].jobs(&self.jobs[0].key.service_principal_id);
                prop_assert_eq!(listed.await.is_err(), waits);
            }
            Step::List { .. } => {}
        }
        Ok(())
    }

    async fn start(
        &mut self,
        process: usize,
        job: usize,
        dry_run: bool,
    ) -> Result<(), TestCaseError> {
        let (before, waits, throttled) = (self.reached(), self.waits(), self.read_throttle);
        let next = self.starts.front().copied().unwrap_or(Start::Works);
        let asked = Request { job: self.jobs[job].clone(), dry_run, ..request() };
        let answer = self.guards[process].start(asked).await;
        let cost = self.since(before);
        if cost.posts > 0 {
            self.met(next);
        }
        if waits {
            prop_assert_eq!(cost, Cost { reads: 0, posts: 0 }, "{:?}", answer);
        }
        let met_now = throttled.is_some() && self.read_throttle.is_none();
        self.judge(&answer, cost, next, met_now)
    }

    /// S7, by the kind of answer.
    fn judge(
        &self,
        answer: &Answer,
        cost: Cost,
        next: Start,
        met_now: bool,
    ) -> Result<(), TestCaseError> {
        let is = |reads, posts| cost == Cost { reads, posts };
        let fits = match (answer.outcome, answer.reason) {
            // A lost answer is followed by reads; one of another attempt's, by this one's.
            (OutcomeKind::Started, _) => match next {
                Start::Lost { .. } => cost.posts == 1 && cost.reads >= 2,
                Start::Works | Start::Throttled(_) | Start::Forbidden => is(1, 1),
            },
            (OutcomeKind::AlreadyRunning | OutcomeKind::Denied | OutcomeKind::WouldStart, _) => {
                is(1, 0)
            }
            // Told by Graph just now, by the read or by the POST; else known from the store.
            (OutcomeKind::Deferred, Some(Reason::Throttled)) => {
                if matches!(next, Start::Throttled(_)) && cost.posts == 1 {
                    is(1, 1)
                } else if met_now {
                    is(1, 0)
                } else {
                    is(0, 0)
                }
            }
            // What is in doubt may be looked at once.
            (OutcomeKind::Deferred, Some(Reason::InDoubt)) => is(0, 0) || is(1, 0),
            (OutcomeKind::Deferred, _) => is(0, 0),
            (OutcomeKind::InDoubt, _) => cost.posts == 1 && cost.reads >= 1,
            (OutcomeKind::Failed, _) => is(1, 1) && matches!(next, Start::Forbidden),
        };
        prop_assert!(fits, "{:?} cost {:?}; {:?}", answer, cost, next);
        Ok(())
    }

    /// What was asked since, having noted what Graph said meanwhile.
    fn since(&mut self, before: Cost) -> Cost {
        let now = self.reached();
        let cost = Cost { reads: now.reads - before.reads, posts: now.posts - before.posts };
        if cost.reads > 0
            && let Some(wait) = self.read_throttle.take()
        {
            self.wait_for(wait);
        }
        cost
    }

    fn met(&mut self, start: Start) {
        self.starts.pop_front();
        if let Start::Throttled(seconds) = start {
            self.wait_for(Duration::from_secs(seconds));
        }
    }

    fn wait_for(&mut self, wait: Duration) {
        let until = self.world.clock.tick().after(wait);
        self.told_to_wait = self.told_to_wait.max(Some(until));
    }

    /// Whether Graph has said to wait, and the time is not over.
    fn waits(&self) -> bool {
        self.told_to_wait.is_some_and(|until| self.world.clock.tick() < until)
    }
}

proptest! {
    #[test]
    fn every_ask_costs_what_was_promised_and_who_is_told_to_wait_asks_nothing(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut play = Play::new();
            for step in steps {
                play.step(step).await?;
            }
            prop_assert_eq!(play.world.graph.violations(), 0);
            Ok(())
        })?;
    }
}
