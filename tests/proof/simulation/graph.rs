//! Graph, as one process reaches it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use startguard::{
    decide::{Permit, StartReply},
    model::{
        AttemptId, Job, JobKey, Reply, ScheduleState, ServicePrincipal, ServicePrincipalId,
        StatusCode, Tick,
    },
    ports::{Clock as _, Cost, Graph, GraphError, IdentityError, SpLookup, Told},
};
use tokio::sync::oneshot;

use super::{
    fleet::{Fleet, State},
    judge::Cause,
    process::Process,
    schedule::{Broken, MESSAGE, PAUSE},
};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Line {
    pub(super) fleet: Arc<Fleet>,
    pub(super) process: Arc<Process>,
    pub(super) id: u64,
}

/// What becomes of a POST that left.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It acts; then its answer leaves.
    Acts,
    /// It acts, and the answer is lost.
    ActsUnheard,
    /// It is lost, and nobody is told.
    Lost,
    /// It is refused, with this status and Retry-After.
    Refused(u16, Option<Duration>),
}

impl Line {
    fn away(&self) -> bool {
        self.fleet.weather().graph_away > self.fleet.time.now()
    }

    fn ill(&self) -> bool {
        let weather = self.fleet.weather();
        !weather.calm && weather.graph_ill > self.fleet.time.now()
    }

    /// What is left of the wait that Graph asks for.
    fn told_to_wait(&self) -> Option<Duration> {
        let left = self.fleet.weather().throttled.saturating_sub(self.fleet.time.now());
        (!left.is_zero()).then(|| left.max(SECOND))
    }

    fn latency(&self) -> Duration {
        let most = if self.ill() { 20 * SECOND } else { 400 * MILLISECOND };
        self.fleet.dice.span(10 * MILLISECOND, most)
    }

    fn told(&self, began: Tick, result: Result<Job, GraphError>) -> Told<Job> {
        let throttle = match &result {
            Err(GraphError::Throttled { reply, retry_after }) => {
                retry_after.map(|wait| (reply.status, wait))
            }
            _ => None,
        };
        let cost = Cost { requests: 1, request_ids: Vec::new() };
        Told { result, cost, began, read_at: self.process.wall(), throttle }
    }

    fn reply(status: u16) -> Reply {
        Reply { status, code: None, message: None, request_id: None }
    }

    async fn read(&self, job: usize, deadline: Tick) -> Result<Job, GraphError> {
        let fleet = &self.fleet;
        let began = fleet.time.now();
        let left = self.process.really(self.process.tick().until(deadline));
        let late = || GraphError::Timeout { problem: "no answer".to_owned() };
        if self.away() {
            fleet.time.sleep(left.min(3 * SECOND)).await;
            return Err(GraphError::Unavailable { problem: "connection refused".to_owned() });
        }
        let latency = self.latency();
        if latency > left {
            fleet.time.sleep(left).await;
            return Err(late());
        }
        fleet.time.sleep(latency).await;
        if let Some(wait) = self.told_to_wait() {
            let status = *fleet.dice.pick(&[429, 503]);
            return Err(GraphError::Throttled {
                reply: Self::reply(status),
                retry_after: Some(wait),
            });
        }
        if self.ill() && fleet.dice.one_in(4) {
            if fleet.broken == Some(Broken::InventsReads) {
                return Ok(State::Paused.job());
            }
            return Err(match fleet.dice.below(5) {
                0 => GraphError::Unavailable { problem: "HTTP 500".to_owned() },
                1 => GraphError::BadResponse { problem: "half an answer".to_owned() },
                2 => GraphError::Unauthorized(Self::reply(401)),
                3 => GraphError::NotFound(Self::reply(404)),
                _ => late(),
            });
        }
        let state = fleet.answer(job);
        let mut told = state.job();
        if self.ill() && fleet.dice.one_in(10) {
            told.code = StatusCode::Other("Upgrading".to_owned());
            told.schedule = ScheduleState::Other(String::new());
        }
        let stopped = matches!(told.code, StatusCode::Paused | StatusCode::Quarantine);
        fleet.shared().judge.read(self.id, job, began, stopped);
        Ok(told)
    }

    fn fate(&self) -> Fate {
        let dice = &self.fleet.dice;
        if let Some(wait) = self.told_to_wait() {
            return Fate::Refused(*dice.pick(&[429, 503]), Some(wait));
        }
        if !self.ill() {
            return if dice.one_in(50) { Fate::ActsUnheard } else { Fate::Acts };
        }
        match dice.below(8) {
            0 | 1 => Fate::ActsUnheard,
            2 => Fate::Lost,
            3 => Fate::Refused(*dice.pick(&[400, 403, 409]), None),
            4 => Fate::Refused(429, None),
            _ => Fate::Acts,
        }
    }

    /// A request that left: it travels, acts or not, and its answer travels back.
    fn travel(&self, job: usize, attempt: AttemptId) -> oneshot::Receiver<StartReply> {
        let (answer, answered) = oneshot::channel();
        let fleet = Arc::clone(&self.fleet);
        let (fate, back) = (self.fate(), self.latency());
        let travels = match self.ill() {
            true if fleet.broken == Some(Broken::LateMessages) => 6 * MESSAGE,
            true => fleet.dice.span(10 * MILLISECOND, MESSAGE),
            false => self.latency(),
        };
        tokio::spawn(async move {
            fleet.time.sleep(travels).await;
            let now = fleet.time.now();
            {
                let mut shared = fleet.shared();
                let acts = matches!(fate, Fate::Acts | Fate::ActsUnheard);
                let running = match shared.state(job) {
                    State::Running(cause) => Some(cause),
                    State::Paused | State::Quarantine => None,
                };
                shared.judge.landed(job, attempt, acts, running, now);
                if acts && running.is_none() {
                    shared.set(job, State::Running(Cause::Guard), now);
                }
            }
            fleet.time.sleep(back).await;
            let reply = match fate {
                Fate::Acts => StartReply::Accepted,
                Fate::Refused(status @ (429 | 503), retry_after) => {
                    StartReply::Throttled { reply: Self::reply(status), retry_after }
                }
                Fate::Refused(status, _) => StartReply::Rejected(Self::reply(status)),
                Fate::ActsUnheard | Fate::Lost => return,
            };
            // Whoever waited may be gone.
            let _unheard = answer.send(reply);
        });
        answered
    }
}

#[async_trait]
impl Graph for Line {
    async fn authorize(&self) -> Result<(), GraphError> {
        self.process.live().await;
        if self.ill() && self.fleet.dice.one_in(20) {
            return Err(GraphError::NoToken(IdentityError {
                credential: "simulated".to_owned(),
                problem: "away".to_owned(),
                remedy: "ask again".to_owned(),
                transient: true,
            }));
        }
        Ok(())
    }

    async fn job(&self, key: &JobKey, deadline: Tick) -> Told<Job> {
        self.process.live().await;
        let began = self.process.tick();
        let result = self.read(Fleet::number(key), deadline).await;
        self.process.live().await;
        self.told(began, result)
    }

    async fn jobs(&self, _of: &ServicePrincipalId, _deadline: Tick) -> Told<Vec<Job>> {
        let told = self.told(self.process.tick(), Err(GraphError::NotFound(Self::reply(404))));
        Told {
            result: Ok(Vec::new()),
            cost: told.cost,
            began: told.began,
            read_at: told.read_at,
            throttle: None,
        }
    }

    async fn find(&self, _lookup: &SpLookup, deadline: Tick) -> Told<Vec<ServicePrincipal>> {
        let none = Told {
            result: Ok(Vec::new()),
            cost: Cost::default(),
            began: deadline,
            read_at: self.process.wall(),
            throttle: None,
        };
        self.process.live().await;
        none
    }

    async fn start(&self, permit: Permit) -> (StartReply, Cost) {
        let (fleet, none) = (&self.fleet, Cost::default());
        self.process.live().await;
        // Name, connection and TLS come before the last look at the clock.
        if self.away() {
            let problem = "connection refused".to_owned();
            return (StartReply::NotSent { problem }, none);
        }
        fleet.time.sleep(self.latency()).await;
        self.process.live().await;
        let deadline = match permit.time_left(self.process.tick()) {
            Some(deadline) => deadline,
            None if fleet.broken == Some(Broken::SendsLate) => fleet.policy.request_timeout,
            None => return (StartReply::TooLate, none),
        };
        // The pause that nothing can rule out.
        if self.ill() && fleet.dice.one_in(3) {
            fleet.time.sleep(fleet.dice.span(MILLISECOND, PAUSE)).await;
        }
        if self.process.is_dead() {
            return std::future::pending().await;
        }
        let (job, attempt) = (Fleet::number(permit.key()), permit.attempt());
        let now = fleet.time.now();
        fleet.shared().judge.left(self.id, job, attempt, &fleet.policy, now);
        let answered = self.travel(job, attempt);
        let reply = tokio::select! {
            biased;
            reply = answered => reply.ok(),
            () = fleet.time.sleep(self.process.really(deadline)) => None,
        };
        self.process.live().await;
        if reply.is_none() && fleet.broken == Some(Broken::SendsTwice) {
            let now = fleet.time.now();
            fleet.shared().judge.left(self.id, job, attempt, &fleet.policy, now);
            drop(self.travel(job, attempt));
        }
        if reply.is_none() && fleet.broken == Some(Broken::FalseProof) {
            let problem = "connection reset".to_owned();
            return (StartReply::NotSent { problem }, none);
        }
        let reply = reply.unwrap_or_else(|| {
            fleet.shared().judge.count.lost_answers += 1;
            StartReply::Unclear { problem: "the answer did not come".to_owned() }
        });
        (reply, Cost { requests: 1, request_ids: Vec::new() })
    }
}
