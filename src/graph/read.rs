//! Reads, repeated on faults that pass. Nothing but a GET goes through here.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use reqwest::Url;

use super::{
    HttpGraph,
    call::{Trail, Tried},
};
use crate::{model::Tick, ports::GraphError};

/// The pause before the first repeat; each next one is twice as long. A gateway that lost one
/// backend answers again within a quarter of a second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause: a read as a whole has half a minute, and someone waits for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

impl HttpGraph {
    /// GETs a document, by `deadline` at the latest.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn read(
        &self,
        url: &Url,
        deadline: Tick,
        trail: &mut Trail,
    ) -> Result<Vec<u8>, GraphError> {
        let mut pauses = self.pauses();
        let mut refreshed = false;
        let mut tries: u32 = 0;
        loop {
            tries = tries.saturating_add(1);
            let (fault, least) = match self.try_once(url, deadline, trail).await? {
                Tried::Done(body) => return Ok(body),
                Tried::Refused(reply, token) => {
                    let replaced = !refreshed
                        && self.within(deadline, self.credential.replace(&token)).await
                            == Some(true);
                    if !replaced {
                        return Err(GraphError::Unauthorized(reply));
                    }
                    refreshed = true;
                    continue;
                }
                Tried::Again { fault, least } => (fault, least),
            };
            let Some(pause) = pauses.next().map(|pause| {
                let pause = jittered(pause, self.entropy.number());
                pause.max(least)
            }) else {
                return Err(after(fault, tries));
            };
            if self.clock.tick().after(pause) >= deadline {
                return Err(after(fault, tries));
            }
            tracing::debug!(error = %fault, ?pause, "reading again");
            self.clock.sleep(pause).await;
        }
    }

    fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(usize::try_from(self.read_retries).unwrap_or(usize::MAX))
            .build()
    }
}

/// Between half of a pause and the whole: callers that failed together do not come back together,
/// and none comes back at once.
fn jittered(pause: Duration, random: u64) -> Duration {
    let half = pause / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half.saturating_add(Duration::from_micros(random % spread))
}

/// The last fault, with how often it was tried.
fn after(fault: GraphError, tries: u32) -> GraphError {
    let told = |problem| match tries {
        0 | 1 => problem,
        more => format!("{problem} ({more} tries)"),
    };
    match fault {
        GraphError::Unavailable { problem } => GraphError::Unavailable { problem: told(problem) },
        GraphError::Timeout { problem } => GraphError::Timeout { problem: told(problem) },
        other @ (GraphError::NoToken(_)
        | GraphError::Unauthorized(_)
        | GraphError::Forbidden(_)
        | GraphError::NotFound(_)
        | GraphError::Throttled { .. }
        | GraphError::BadResponse { .. }) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_its_half_and_its_whole() {
        for random in [0, 1, 124_999, 125_000, u64::MAX] {
            let pause = jittered(FIRST_PAUSE, random);
            assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pause), "{random}: {pause:?}");
        }
        assert_ne!(jittered(FIRST_PAUSE, 7), jittered(FIRST_PAUSE, 70_000));
        assert_eq!(jittered(Duration::ZERO, 3), Duration::ZERO);
    }
}
