//! What all processes share: the weather, Graph's jobs, and the judge.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use startguard::model::{
    Job, JobId, JobKey, JobRef, Policy, Quarantine, ScheduleState, ServicePrincipalId, StatusCode,
    TenantKey,
};

use super::{
    dice::Dice,
    judge::{Cause, Judge},
    process::{StoreClock, Time},
    schedule::{Broken, LAG, Schedule},
};

/// Until when which trouble lasts.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Weather {
    pub(super) store_away: Duration,
    pub(super) store_ill: Duration,
    pub(super) graph_away: Duration,
    pub(super) graph_ill: Duration,
    pub(super) throttled: Duration,
    /// From now on nothing goes wrong.
    pub(super) calm: bool,
}

/// How a job stands, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) since: Duration,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Paused,
    Quarantine,
    Running(Cause),
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) time: Time,
    pub(super) policy: Policy,
    pub(super) clock: Arc<StoreClock>,
    pub(super) dice: Dice,
    pub(super) broken: Option<Broken>,
    state: Mutex<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) weather: Weather,
    pub(super) judge: Judge,
    /// By job, the states that a read may still show, newest last.
    jobs: Vec<Vec<Standing>>,
}

impl Fleet {
    pub(super) fn new(schedule: &Schedule, time: Time) -> Self {
        let standing = Standing { since: Duration::ZERO, state: State::Paused };
        Self {
            time,
            policy: schedule.policy.clone(),
            clock: Arc::new(StoreClock {
                time,
                machine: schedule.machine_store,
                off: Mutex::new(0),
                booted: Mutex::default(),
            }),
            dice: Dice::new(schedule.seed, "fleet"),
            broken: schedule.broken,
            state: Mutex::new(Shared {
                weather: Weather::default(),
                judge: Judge::default(),
                jobs: vec![vec![standing]; schedule.jobs],
            }),
        }
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn weather(&self) -> Weather {
        self.shared().weather
    }

    pub(super) fn tenant() -> TenantKey {
        TenantKey::new(Some("contoso"), "https://graph.example")
    }

    pub(super) fn job(number: usize) -> JobRef {
        let service_principal = "8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";
        let key = JobKey {
            service_principal_id: ServicePrincipalId::parse(service_principal).expect("an id"),
            job_id: JobId::parse(&number.to_string()).expect("an id"),
        };
        JobRef { key, name: None }
    }

    pub(super) fn number(key: &JobKey) -> usize {
        key.job_id.as_str().parse().expect("a job of this fleet")
    }

    /// The answer to a read of this moment: the truth, or what was true within the lag before.
    pub(super) fn answer(&self, job: usize) -> State {
        let now = self.time.now();
        let shared = self.shared();
        let lag = match shared.weather.calm {
            true => Duration::ZERO,
            // Mostly none, sometimes a little, sometimes all that the bound allows.
            false if self.broken == Some(Broken::LongLag) => 10 * LAG,
            false if self.dice.one_in(2) => Duration::ZERO,
            false => self.dice.span(Duration::from_millis(1), LAG),
        };
        let then = now.saturating_sub(lag);
        let shown = shared.jobs[job].iter().rev().find(|standing| standing.since <= then);
        shown.or(shared.jobs[job].first()).expect("a job stands somehow").state
    }
}

impl Shared {
    pub(super) fn state(&self, job: usize) -> State {
        self.jobs[job].last().expect("a job stands somehow").state
    }

    pub(super) fn set(&mut self, job: usize, state: State, now: Duration) {
        let standings = &mut self.jobs[job];
        if standings.last().is_some_and(|standing| standing.state == state) {
            return;
        }
        standings.push(Standing { since: now, state });
        // Keep the newest that is older than any read can show.
        let shown = now.saturating_sub(10 * LAG);
        let old = standings.iter().filter(|standing| standing.since < shown).count();
        standings.drain(..old.saturating_sub(1));
    }
}

impl State {
    pub(super) fn job(self) -> Job {
        let (code, schedule) = match self {
            Self::Paused => (StatusCode::Paused, ScheduleState::Disabled),
            Self::Quarantine => (StatusCode::Quarantine, ScheduleState::Active),
            Self::Running(_) => (StatusCode::Active, ScheduleState::Active),
        };
        let quarantine = (self == Self::Quarantine).then(|| Quarantine {
            reason: Some("EncounteredQuarantineException".to_owned()),
            ..Quarantine::default()
        });
        Job {
            id: None,
            template_id: None,
            code,
            schedule,
            quarantine,
            escrows_pruned: false,
            last_execution: None,
        }
    }
}
