//! A Graph in memory that answers as it is told, and counts what was asked of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    decide::{Permit, StartReply},
    model::{
        Job, JobKey, Quarantine, ScheduleState, ServicePrincipal, ServicePrincipalId, StatusCode,
        Tick,
    },
    ports::{Clock, Cost, Graph, GraphError, SpLookup, Told},
};

/// How the next POST goes.
#[derive(Debug)]
pub enum StartStep {
    /// It works: 204, and the job runs.
    Works,
    /// The answer is lost, after the effect or before it.
    Lost {
        /// Whether the start had its effect.
        effect: bool,
    },
    /// The process is held up for so long between the intent and the line before the POST.
    HeldUp(Duration),
    /// It is answered like this, without effect.
    Answers(StartReply),
    /// The code that sends it panics.
    Panics,
}

/// How the next read goes.
#[derive(Debug)]
enum ReadStep {
    Takes(Duration),
    Fails(GraphError),
    Panics,
}

/// A scripted Graph. Without a script, reads answer with the job as it is and starts work.
#[derive(Debug)]
pub struct ScriptedGraph {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// How often the gate was opened.
    openings: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<String, Job>,
    reads: VecDeque<ReadStep>,
    throttle: Option<(u16, Duration)>,
    starts: VecDeque<StartStep>,
    unauthorized: Option<GraphError>,
    look_up_fails: Option<GraphError>,
    posts: Vec<(String, Tick)>,
    read_count: u32,
    on_running: u32,
    gated: bool,
}

/// What a call waits for that found the gate closed: the next opening after so many.
struct Queued(Option<u64>);

impl ScriptedGraph {
    /// A Graph without jobs.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), openings: watch::Sender::new(0) }
    }

    /// A job in this state.
    #[must_use]
    pub fn job(code: StatusCode, schedule: ScheduleState) -> Job {
        Job {
            id: None,
            template_id: None,
            code,
            schedule,
            quarantine: None,
            escrows_pruned: false,
            last_execution: None,
        }
    }

    /// A job in quarantine for this reason.
    #[must_use]
    pub fn quarantined(reason: &str) -> Job {
        Job {
            quarantine: Some(Quarantine {
                reason: Some(reason.to_owned()),
                series_count: Some(3),
                ..Quarantine::default()
            }),
            ..Self::job(StatusCode::Quarantine, ScheduleState::Active)
        }
    }

    /// Puts a job there, or changes it.
    pub fn set(&self, key: &JobKey, job: Job) {
        self.state().jobs.insert(key.store_key(), job);
    }

    /// The next read takes this long and then answers as the job is then.
    pub fn next_read_takes(&self, span: Duration) {
        self.state().reads.push_back(ReadStep::Takes(span));
    }

    /// The next read fails like this.
    pub fn next_read_fails(&self, error: GraphError) {
        self.state().reads.push_back(ReadStep::Fails(error));
    }

    /// The code of the next read panics.
    pub fn next_read_panics(&self) {
        self.state().reads.push_back(ReadStep::Panics);
    }

    /// The next read brings this Retry-After along.
    pub fn next_read_throttles(&self, status: u16, wait: Duration) {
        self.state().throttle = Some((status, wait));
    }

    /// The next start goes like this.
    pub fn next_start(&self, step: StartStep) {
        self.state().starts.push_back(step);
    }

    /// The next list or look-up fails like this.
    pub fn next_look_up_fails(&self, error: GraphError) {
        self.state().look_up_fails = Some(error);
    }

    /// The next authorization fails like this.
    pub fn next_authorize_fails(&self, error: GraphError) {
        self.state().unauthorized = Some(error);
    }

    /// From now on every read and POST waits, once it has been counted, until the gate opens.
    pub fn close_gate(&self) {
        self.state().gated = true;
    }

    /// Lets those pass that have been counted by now, and nobody else.
    pub fn open_and_close_gate(&self) {
        self.open(true);
    }

    /// Lets everything that waits at the gate go on.
    pub fn open_gate(&self) {
        self.open(false);
    }

    fn open(&self, closed_again: bool) {
        let mut state = self.state();
        state.gated = closed_again;
        self.openings.send_modify(|openings| *openings = openings.saturating_add(1));
    }

    /// POSTs of this job so far, by when they went out.
    #[must_use]
    pub fn posts(&self, key: &JobKey) -> Vec<Tick> {
        let key = key.store_key();
        let state = self.state();
        state.posts.iter().filter(|(job, _)| *job == key).map(|(_, at)| *at).collect()
    }

    /// Reads so far, of all jobs.
    #[must_use]
    pub fn reads(&self) -> u32 {
        self.state().read_count
    }

    /// Starts that reached a job that was not stopped.
    #[must_use]
    pub fn violations(&self) -> u32 {
        self.state().on_running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place at the gate, in the same breath as the call is counted: whoever sees the count
    /// and opens the gate lets it pass.
    fn queue(&self, state: &State) -> Queued {
        Queued(state.gated.then(|| *self.openings.borrow()))
    }

    async fn pass_gate(&self, Queued(behind): Queued) {
        if let Some(behind) = behind {
            // It fails only once nobody can open the gate any more.
            drop(self.openings.subscribe().wait_for(|openings| *openings > behind).await);
        }
    }

    fn told<T>(&self, began: Tick, result: Result<T, GraphError>) -> Told<T> {
        Told {
            result,
            cost: Cost { requests: 1, request_ids: vec!["scripted".to_owned()] },
            began,
            read_at: self.clock.wall(),
            throttle: self.state().throttle.take(),
        }
    }

    fn take_effect(&self, key: &JobKey) {
        if let Some(job) = self.state().jobs.get_mut(&key.store_key()) {
            *job = Self::job(StatusCode::Active, ScheduleState::Active);
        }
    }
}

#[async_trait]
impl Graph for ScriptedGraph {
    async fn authorize(&self) -> Result<(), GraphError> {
        match self.state().unauthorized.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn job(&self, key: &JobKey, _deadline: Tick) -> Told<Job> {
        let began = self.clock.tick();
        let (step, queued) = {
            let mut state = self.state();
            state.read_count = state.read_count.saturating_add(1);
            (state.reads.pop_front(), self.queue(&state))
        };
        self.pass_gate(queued).await;
        let result = match step {
            Some(ReadStep::Fails(error)) => Err(error),
            Some(ReadStep::Takes(span)) => {
                self.clock.sleep(span).await;
                self.find_job(key)
            }
            Some(ReadStep::Panics) => defect(),
            None => self.find_job(key),
        };
        self.told(began, result)
    }

    async fn jobs(
        &self,
        service_principal: &ServicePrincipalId,
        _deadline: Tick,
    ) -> Told<Vec<Job>> {
        let prefix = format!("{service_principal}/");
        let jobs = self.looked_up(|state| {
            let own = state.jobs.iter().filter(|(key, _)| key.starts_with(&prefix));
            own.map(|(_, job)| job.clone()).collect()
        });
        self.told(self.clock.tick(), jobs)
    }

    async fn find(&self, _lookup: &SpLookup, _deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        let found = self.looked_up(|_| Vec::new());
        self.told(self.clock.tick(), found)
    }

    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        let step = self.state().starts.pop_front().unwrap_or(StartStep::Works);
        if let StartStep::HeldUp(span) = &step {
            self.clock.sleep(*span).await;
        }
        if permit.time_left(self.clock.tick()).is_none() {
            return (StartReply::TooLate, Cost::default());
        }
        if let StartStep::Answers(
            reply @ (StartReply::NotSent { .. } | StartReply::HeldBack { .. }),
        ) = step
        {
            return (reply, Cost::default());
        }
        let queued = {
            let mut state = self.state();
            let key = permit.key().store_key();
            let at = self.clock.tick();
            let stopped = state
                .jobs
                .get(&key)
                .is_some_and(|job| matches!(job.code, StatusCode::Paused | StatusCode::Quarantine));
            state.on_running = state.on_running.saturating_add(u32::from(!stopped));
            state.posts.push((key, at));
            self.queue(&state)
        };
        self.pass_gate(queued).await;
        let lost = StartReply::Unclear { problem: "the connection was closed".to_owned() };
        let reply = match step {
            StartStep::Works | StartStep::HeldUp(_) => {
                self.take_effect(permit.key());
                StartReply::Accepted
            }
            StartStep::Lost { effect } => {
                if effect {
                    self.take_effect(permit.key());
                }
                lost
            }
            StartStep::Answers(reply) => reply,
            StartStep::Panics => defect(),
        };
        (reply, Cost { requests: 1, request_ids: vec!["scripted".to_owned()] })
    }
}

/// A defect of the code under the port.
#[expect(clippy::panic, reason = "what the guard does about a panic is what is tested")]
fn defect() -> ! {
    panic!("a planted defect")
}

impl ScriptedGraph {
    fn looked_up<T>(&self, there: impl FnOnce(&State) -> T) -> Result<T, GraphError> {
        let mut state = self.state();
        match state.look_up_fails.take() {
            Some(error) => Err(error),
            None => Ok(there(&state)),
        }
    }

    fn find_job(&self, key: &JobKey) -> Result<Job, GraphError> {
        let reply =
            crate::model::Reply { status: 404, code: None, message: None, request_id: None };
        self.state().jobs.get(&key.store_key()).cloned().ok_or(GraphError::NotFound(reply))
    }
}
