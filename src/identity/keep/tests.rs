use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::*;
use crate::testing::ManualClock;

/// Gives what it was told to, one after another, when it is let through.
#[derive(Debug)]
struct Scripted {
    clock: Arc<ManualClock>,
    answers: Mutex<VecDeque<Answer>>,
    fetches: AtomicUsize,
    through: Semaphore,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    /// A token that lives so long.
    Lives(u64),
    Refused,
    Panics,
}

#[async_trait]
impl Source for Scripted {
    async fn fetch(&self) -> Result<Token, Failure> {
        let count = self.fetches.fetch_add(1, Ordering::SeqCst);
        self.through.acquire().await.unwrap().forget();
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.expect("one fetch too many") {
            Answer::Lives(seconds) => {
                let end = self.clock.wall().saturating_add(Duration::from_secs(seconds)).unwrap();
                let secret = SecretString::from(format!("token-{count}"));
                Ok(Token { secret, expires_at: Some(end) })
            }
            Answer::Refused => Err(Failure::new("scripted", Refusal::lasting("no", "mend it"))),
            Answer::Panics => panic!("as scripted"),
        }
    }

    fn describe(&self) -> String {
        "scripted".to_owned()
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    source: Arc<Scripted>,
    keeper: Keeper,
}

impl Bench {
    /// Every fetch is let through at once.
    fn new(answers: &[Answer]) -> Self {
        let bench = Self::held_back(answers);
        bench.source.through.add_permits(1_000);
        bench
    }

    /// No fetch comes through before it is let.
    fn held_back(answers: &[Answer]) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_795_000_000).unwrap()));
        let source = Arc::new(Scripted {
            clock: Arc::clone(&clock),
            answers: Mutex::new(answers.iter().copied().collect()),
            fetches: AtomicUsize::new(0),
            through: Semaphore::new(0),
        });
        let keeper =
            Keeper::new(Arc::<Scripted>::clone(&source), Arc::<ManualClock>::clone(&clock));
        Self { clock, source, keeper }
    }

    async fn token(&self, at_least: u64) -> Result<String, String> {
        let token = self.keeper.token(Duration::from_secs(at_least)).await;
        token.map(|it| it.secret.expose_secret().to_owned()).map_err(|error| error.problem)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn fetches(&self) -> usize {
        self.source.fetches.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_token_is_served_while_it_lives_longer_than_it_must() {
    let bench = Bench::new(&[Answer::Lives(100), Answer::Lives(100)]);
    assert_eq!(bench.token(60).await.unwrap(), "token-0");
    bench.pass(39);
    assert_eq!(bench.token(60).await.unwrap(), "token-0");
    bench.pass(1);
    // Exactly as long is not longer.
    assert_eq!(bench.token(60).await.unwrap(), "token-1");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn setting_the_civil_clock_neither_prolongs_nor_ends_a_token() {
    let bench = Bench::new(&[Answer::Lives(100), Answer::Lives(100)]);
    assert_eq!(bench.token(0).await.unwrap(), "token-0");
    for at in [0, 2_000_000_000] {
        bench.clock.set_wall(Timestamp::from_second(at).unwrap());
        assert_eq!(bench.token(50).await.unwrap(), "token-0");
    }
    bench.pass(100);
    assert_eq!(bench.token(0).await.unwrap(), "token-1");
}

#[tokio::test]
async fn callers_at_once_share_one_fetch_and_its_failure() {
    for (answer, good) in [(Answer::Lives(100), true), (Answer::Refused, false)] {
        let bench = Bench::held_back(&[answer]);
        let callers = futures_util::future::join_all((0..50).map(|_| bench.token(0)));
        let release = async { bench.source.through.add_permits(1) };
        let (told, ()) = tokio::join!(callers, release);
        assert!(told.iter().all(|one| one.is_ok() == good), "{told:?}");
        assert_eq!(bench.fetches(), 1);
    }
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_from_the_others() {
    let bench = Bench::held_back(&[Answer::Lives(100)]);
    {
        let leader = bench.token(0);
        tokio::pin!(leader);
        assert!(futures_util::poll!(&mut leader).is_pending());
    }
    bench.source.through.add_permits(1);
    assert_eq!(bench.token(0).await.unwrap(), "token-0");
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn a_failure_answers_for_some_seconds_and_then_is_asked_again() {
    let bench = Bench::new(&[Answer::Refused, Answer::Lives(100)]);
    for _ in 0..3 {
        assert_eq!(bench.token(0).await.unwrap_err(), "no");
        bench.pass(1);
    }
    assert_eq!(bench.fetches(), 1);
    bench.pass(REST.as_secs() - 3);
    assert_eq!(bench.token(0).await.unwrap(), "token-1");
}

#[tokio::test]
async fn a_token_that_lives_long_enough_outlasts_a_failed_renewal() {
    let bench = Bench::new(&[Answer::Lives(100), Answer::Refused]);
    assert_eq!(bench.token(0).await.unwrap(), "token-0");
    bench.pass(50);
    assert_eq!(bench.token(60).await.unwrap_err(), "no");
    assert_eq!(bench.token(40).await.unwrap(), "token-0");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_ends_too_soon_is_not_handed_out_nor_asked_for_again_at_once() {
    let bench = Bench::new(&[Answer::Lives(30), Answer::Lives(30)]);
    for _ in 0..3 {
        let problem = bench.token(60).await.unwrap_err();
        assert!(problem.contains("ends 30 s after"), "{problem}");
    }
    assert_eq!(bench.token(10).await.unwrap(), "token-0");
    assert_eq!(bench.fetches(), 1);
    bench.pass(REST.as_secs());
    bench.token(60).await.unwrap_err();
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn many_who_meet_a_401_at_once_get_one_fresh_token() {
    let answers = [Answer::Lives(1_000), Answer::Lives(1_000), Answer::Lives(1_000)];
    let bench = Bench::new(&answers);
    assert_eq!(bench.token(0).await.unwrap(), "token-0");
    for _ in 0..20 {
        assert!(bench.keeper.refresh().await);
        assert_eq!(bench.token(0).await.unwrap(), "token-1");
    }
    bench.pass(REST.as_secs());
    assert!(bench.keeper.refresh().await);
    assert_eq!(bench.token(0).await.unwrap(), "token-2");
}

#[tokio::test]
async fn a_fetch_that_panics_is_a_failure_and_not_the_end() {
    let bench = Bench::new(&[Answer::Panics, Answer::Lives(100)]);
    assert!(bench.token(0).await.unwrap_err().contains("cut off"));
    assert_eq!(bench.token(0).await.unwrap(), "token-1");
}

#[tokio::test]
async fn a_kept_token_does_not_show() {
    let bench = Bench::new(&[Answer::Lives(100)]);
    bench.token(0).await.unwrap();
    assert!(!format!("{:?}", bench.keeper).contains("token-0"));
}
