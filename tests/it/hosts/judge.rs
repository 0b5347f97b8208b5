//! What must hold, by what the emulator saw and by the times that the records keep of every intent.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use jiff::Timestamp;
use startguard::{
    emulator::{Emulator, OperationKind},
    ports::Store as _,
    store::PostgresStore,
};

use super::{COOLDOWN, JOBS, LATEST, MAX_STARTS, SP, TENANT_STARTS, WINDOW, job_name};
use crate::store_support;

/// Everything seen so far.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// The attempt of each POST, by the emulator's request id.
    posts: BTreeMap<String, String>,
    /// Per job, every intent that was not given back, and its attempt.
    intents: BTreeMap<usize, Vec<(Timestamp, String)>>,
}

impl Judge {
    /// Looks at the emulator and at the store; fails on the first promise that is broken.
    pub(crate) async fn look(&mut self, emulator: &Emulator, store: &PostgresStore) {
        for request in emulator.requests() {
            if request.operation == OperationKind::Start {
                let attempt = request.client_request_id.expect("each POST names its attempt");
                self.posts.insert(request.request_id, attempt);
            }
        }
        for job in 0..JOBS {
            let key = store_support::job(&job_name(job));
            let snapshot = store.load(&key, &store_support::tenant()).await.expect("a record");
            let marks = snapshot.job.record.starts.iter();
            let now: Vec<_> = marks.map(|mark| (mark.at.at, mark.attempt.0.to_string())).collect();
            let seen = self.intents.entry(job).or_default();
            // The record keeps 128; and an intent may be given back.
            let oldest = now.first().map_or(Timestamp::MAX, |(at, _)| *at);
            seen.retain(|(at, _)| *at < oldest);
            seen.extend(now);
        }
        self.hold(emulator);
    }

    fn hold(&self, emulator: &Emulator) {
        let counts = emulator.counts();
        let trace = || self.trace(emulator);
        assert_eq!(counts.violations, 0, "{:?}\n{}", counts.violation_log, trace());
        assert_eq!(counts.overlapping_starts, 0, "two at once\n{}", trace());
        for job in 0..JOBS {
            let name = job_name(job);
            let of = counts.job(SP, &name);
            assert!(of.starts_in_flight_max <= 1, "{name}: two at once\n{}", trace());
            assert_eq!(of.starts_without_fresh_read, 0, "{name}: not looked at\n{}", trace());
            // As they arrived: a POST may leave late, and only so late.
            let most = of.most_starts_within(WINDOW.saturating_sub(LATEST));
            assert!(most <= MAX_STARTS, "{name}: {most} starts in a window\n{}", trace());
            let gap = of.shortest_gap().unwrap_or(COOLDOWN);
            assert!(gap >= COOLDOWN.saturating_sub(LATEST), "{name}: {gap:?}\n{}", trace());
            // As they were intended: exactly.
            let times = self.times(job);
            let gap = shortest(&times, 1).unwrap_or(COOLDOWN);
            assert!(gap >= COOLDOWN, "{name}: intents {gap:?} apart\n{}", trace());
            let gap = shortest(&times, MAX_STARTS).unwrap_or(WINDOW);
            assert!(gap >= WINDOW, "{name}: a budget within {gap:?}\n{}", trace());
        }
        let mut all: Vec<_> = (0..JOBS).flat_map(|job| self.times(job)).collect();
        all.sort_unstable();
        let gap = shortest(&all, TENANT_STARTS).unwrap_or(Duration::MAX);
        assert!(gap >= Duration::from_secs(60), "a tenant's budget within {gap:?}\n{}", trace());
        // No attempt is POSTed twice, and none without an intent.
        let mut attempts: Vec<_> = self.posts.values().collect();
        attempts.sort_unstable();
        let twice = attempts.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "an attempt that was POSTed twice\n{}", trace());
        let intended = |attempt: &&&String| {
            self.intents.values().flatten().any(|(_, intent)| intent == **attempt)
        };
        let stray = attempts.iter().find(|attempt| !intended(attempt));
        assert_eq!(stray, None, "a POST without an intent\n{}", trace());
    }

    /// At the end, when nothing is on its way any more: nothing was missed.
    pub(crate) async fn close(&mut self, emulator: &Emulator, store: &PostgresStore) -> Figures {
        self.look(emulator, store).await;
        let counts = emulator.counts();
        let posts = u64::try_from(self.posts.len()).expect("it fits");
        assert_eq!(counts.starts, posts, "POSTs that were not looked at");
        let verification = store.verify().await.expect("a journal");
        assert_eq!(verification.broken, None);
        let gaps = (0..JOBS).filter_map(|job| counts.job(SP, &job_name(job)).shortest_gap());
        Figures {
            posts,
            intents: self.intents.values().map(Vec::len).sum(),
            reads: counts.of(OperationKind::GetJob),
            entries: verification.entries,
            shortest_gap: gaps.min(),
        }
    }

    fn times(&self, job: usize) -> Vec<Timestamp> {
        let intents = self.intents.get(&job).into_iter().flatten();
        let mut times: Vec<_> = intents.map(|(at, _)| *at).collect();
        times.sort_unstable();
        times
    }

    /// Everything that is known, for whoever looks for the cause.
    fn trace(&self, emulator: &Emulator) -> String {
        let mut text = String::new();
        for (job, intents) in &self.intents {
            let arrivals = emulator.job(SP, &job_name(*job)).start_arrivals_ms;
            writeln!(text, "{}: arrivals {arrivals:?}", job_name(*job)).expect("a string");
            for (at, attempt) in intents {
                let posts = self.posts.values().filter(|post| *post == attempt).count();
                writeln!(text, "  {at} {attempt} POSTs {posts}").expect("a string");
            }
        }
        text
    }
}

/// What a run came to.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
pub(crate) struct Figures {
    posts: u64,
    intents: usize,
    reads: u64,
    entries: u64,
    shortest_gap: Option<Duration>,
}

/// The shortest time from one to the one that comes so many later.
fn shortest(times: &[Timestamp], later: usize) -> Option<Duration> {
    let ends = times.iter().skip(later);
    let spans = times.iter().zip(ends).map(|(from, to)| to.duration_since(*from));
    spans.filter_map(|span| Duration::try_from(span).ok()).min()
}
