//! A disk that fills up while a start is under way: no POST without an intent that is written, and
//! none that is forgotten.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind};

use super::{Call, Desk, Ran, SP, job, until};

/// The same call, none of whose files may grow beyond so many blocks. Writing beyond is an error, as
/// on a full disk, and no signal.
fn limited(call: Call, blocks: &str) -> Call {
    let Call { command, home, graph } = call;
    let mut shell = Command::new("/bin/sh");
    shell
        .env_clear()
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Call { command: shell, home, graph }
}

/// A page of the ledger, in blocks of 512 bytes; where a shell counts in 1,024 it is two pages.
const PAGE: u32 = 8;

#[tokio::test]
async fn a_disk_that_is_full_at_any_step_neither_lets_out_nor_forgets_a_start() {
    let mut unsent = 0;
    for pages in 0.. {
        assert!(pages < 200, "never enough room");
        let desk = Desk::paused().await;
        desk.run(&["hold", &job("other"), "--reason", "x"]).await.ended(0);
        let call = desk.call(&["start", &job("job"), "-o", "json"]);
        let ran = limited(call, &(pages * PAGE).to_string()).run().await;
        let posts = desk.cost().starts;
        match ran.outcome().as_str() {
            "started" => assert_eq!(posts, 1, "{pages}: {ran:?}"),
            "failed/storeUnavailable" => assert_eq!(posts, 0, "{pages}: {ran:?}"),
            other => panic!("{pages}: {other}: {ran:?}"),
        }
        starts_once(&desk, posts, &ran).await;
        if posts == 0 {
            unsent += 1;
        } else if !ran.stderr.contains("not recorded") {
            break;
        }
    }
    assert!(unsent > 0, "the disk was never full");
}

#[tokio::test]
async fn a_disk_that_fills_up_during_the_post_leaves_an_intent_that_counts() {
    let slow =
        FaultRule::on(OperationKind::Start, Effect::None).delayed_before(Duration::from_secs(3));
    let desk =
        Desk::of(Emulator::builder().job(SP, JobConfig::new("job", "Paused")).fault(slow)).await;
    let call = desk.call(&["start", &job("job"), "-o", "json"]);
    let running = limited(call, "unlimited").spawn();
    until("the start", || desk.emulator.job(SP, "job").starts > 0).await;
    let full = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(Pid::from_child(&running.child)), Resource::Fsize, full).unwrap();
    let ran = running.end().await;
    assert_eq!(ran.ended(0).outcome(), "started");
    assert!(ran.stderr.contains("the outcome could not be recorded"), "{ran:?}");
    let posts = desk.cost().starts;
    assert_eq!(posts, 1);
    starts_once(&desk, posts, &ran).await;
}

/// With room again, the journal holds, and what went out counts.
async fn starts_once(desk: &Desk, posts: u64, ran: &Ran) {
    desk.run(&["history", "--verify"]).await.ended(0);
    let again = desk.json(&["start", &job("job")]).await;
    assert_eq!(posts + desk.cost().starts, 1, "{ran:?}, then {again:?}");
}
