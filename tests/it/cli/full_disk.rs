//! A disk that fills up while a start is under way: no POST without an intent that is written, and
//! none that is forgotten.

use std::process::{Command, Stdio};

use super::{Call, Desk, job, outcome};

/// The same call, none of whose files may grow beyond so many blocks. Writing beyond is an error, as
/// on a full disk, and no signal.
fn limited(call: Call, blocks: u32) -> Call {
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
    let (mut unsent, mut unrecorded) = (0, 0);
    for pages in 0.. {
        assert!(pages < 200, "never enough room");
        let desk = Desk::paused().await;
        desk.run(&["hold", &job("other"), "--reason", "x"]).await.ended(0);
        let call = desk.call(&["start", &job("job"), "-o", "json"]);
        let ran = limited(call, pages * PAGE).run().await;
        let posts = desk.cost().starts;
        match outcome(&ran.only()).as_str() {
            "started" => assert_eq!(posts, 1, "{pages}: {ran:?}"),
            "failed/storeUnavailable" => assert_eq!(posts, 0, "{pages}: {ran:?}"),
            other => panic!("{pages}: {other}: {ran:?}"),
        }
        // With room again, the journal holds, and what went out counts.
        desk.run(&["history", "--verify"]).await.ended(0);
        let again = desk.json(&["start", &job("job")]).await;
        assert_eq!(posts + desk.cost().starts, 1, "{pages}: {ran:?}, then {again:?}");
        if posts == 0 {
            unsent += 1;
        } else if ran.stderr.contains("could not be recorded") {
            unrecorded += 1;
        } else {
            break;
        }
    }
    assert!(unsent > 0, "the disk was never full before the start");
    assert!(unrecorded > 0, "the disk was never full after the start");
}
