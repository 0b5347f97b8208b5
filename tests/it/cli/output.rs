//! Standard output: pipes, full disks, terminals, colours and narrow windows.

use std::{fs::File, io::Read as _, os::fd::OwnedFd, process::Command};

use insta::assert_snapshot;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::Value;
use startguard::emulator::{Emulator, JobConfig};

use super::{A_START, Call, Desk, Ran, SP, job, scrub};

/// Runs the call with standard output on a terminal of so many columns; what a person would see.
async fn on_a_terminal(call: Call, columns: u16) -> Ran {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let Call { mut command, home, graph } = call;
    if command.get_envs().all(|(name, _)| name != "TERM") {
        command.env("TERM", "xterm");
    }
    command.stdout(OwnedFd::from(side));
    let (code, stdout) =
        tokio::task::spawn_blocking(move || watch(command, terminal)).await.unwrap();
    Ran { code, stdout, stderr: String::new(), home, graph }
}

/// Reads a terminal until nobody writes to it any more.
fn watch(mut command: Command, terminal: OwnedFd) -> (Option<i32>, String) {
    let mut child = command.spawn().unwrap();
    // Its copy of the terminal would keep the reader below waiting for ever.
    drop(command);
    let mut shown = Vec::new();
    let mut terminal = File::from(terminal);
    let mut piece = [0; 4096];
    // A terminal whose last writer has gone says EIO, not end of file.
    while let Ok(read @ 1..) = terminal.read(&mut piece) {
        shown.extend_from_slice(&piece[..read]);
    }
    let code = child.wait().unwrap().code();
    (code, String::from_utf8(shown).unwrap().replace("\r\n", "\n"))
}

async fn fleet() -> Desk {
    Desk::of(
        Emulator::builder()
            .job(SP, JobConfig::new("BoxOutDelta.1", "Quarantine"))
            .job(SP, JobConfig::new("job", "Paused")),
    )
    .await
}

#[tokio::test]
async fn a_reader_that_left_early_is_no_failure_of_the_start() {
    let desk = Desk::paused().await;
    let mut call = desk.call(&["start", &job("job")]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    call.command.stdout(writer);
    let ran = call.run().await;
    assert_eq!(ran.ended(0).stderr, "");
    assert_eq!(desk.cost(), A_START);
}

#[tokio::test]
async fn an_answer_that_could_not_be_written_is_told_and_is_in_the_journal() {
    let desk = Desk::paused().await;
    let mut call = desk.call(&["start", &job("job")]);
    call.command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let ran = call.run().await;
    assert_snapshot!(ran.told(), @r"
    exit 1
    --- stderr
    error: standard output could not be written: No space left on device (os error 28)
      next: `startguard history` shows what was done
    ");
    assert_eq!(desk.cost(), A_START);
    let kinds = desk.json(&["history"]).await.lines();
    assert_eq!(kinds.len(), 2);
    for args in [&["history"][..], &["status", &job("job")], &["list", SP], &["doctor"], &["man"]] {
        let mut call = desk.call(args);
        call.command.stdout(File::options().write(true).open("/dev/full").unwrap());
        let ran = call.run().await;
        ran.ended(1);
        assert!(ran.stderr.starts_with("error: standard output"), "{args:?}: {ran:?}");
    }
    let mut call = desk.call(&["start", "--help"]);
    call.command.stdout(File::options().write(true).open("/dev/full").unwrap());
    call.run().await.ended(1);
}

#[tokio::test]
async fn colours_are_for_terminals_alone() {
    let desk = fleet().await;
    let status = ["status", &job("job")];
    assert!(!desk.run(&status).await.stdout.contains('\u{1b}'));
    let seen = on_a_terminal(desk.call(&status), 100).await;
    assert!(seen.ended(0).stdout.contains("\u{1b}["), "{seen:?}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let seen = on_a_terminal(desk.call(&status).env(name, value), 100).await;
        assert!(!seen.ended(0).stdout.contains('\u{1b}'), "{name}: {seen:?}");
    }
    let json = on_a_terminal(desk.call(&["status", &job("job"), "-o", "json"]), 100).await;
    assert!(!json.ended(0).stdout.contains('\u{1b}'), "{json:?}");
}

#[tokio::test]
async fn forty_columns_are_enough() {
    let desk = fleet().await;
    let call = |args: &[&str]| desk.call(args).env("NO_COLOR", "1");
    let box_job = job("BoxOutDelta.1");
    // First, while nothing has started it.
    let seen = on_a_terminal(call(&["list", SP]), 40).await;
    assert_snapshot!(seen.told(), @r"
    exit 0
    --- stdout
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/BoxOutDelta.1
      Quarantine
      (EncounteredQuarantineException),
      schedule Active, since [time],
      [span] ago
    8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/job
      Paused, schedule Disabled
    ");
    for args in
        [&["status", &box_job][..], &["list", SP], &["start", &box_job], &["history"], &["doctor"]]
    {
        let seen = on_a_terminal(call(args), 40).await;
        for line in seen.stdout.lines().filter(|line| line.chars().count() > 40) {
            // Only a word that is longer than the window may stand out.
            let longest = line.split_whitespace().map(str::len).max().unwrap_or(0);
            assert!(longest > 36, "{args:?}: {line:?}");
        }
    }
    let seen = on_a_terminal(call(&["start", &box_job]), 40).await;
    assert_snapshot!(unwrapped(&seen), @"8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/BoxOutDelta.1: deferred (cooldown) cooling down: tester@[host] asked for a start [span] ago, and policy wants 10m between two retry: after [time], in [span] next: `startguard start 8a41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b/BoxOutDelta.1` then");
}

/// A wrapped text in one line: where it is wrapped depends on what is scrubbed.
fn unwrapped(seen: &Ran) -> String {
    let words: Vec<&str> = seen.stdout.split_whitespace().collect();
    scrub::scrub(&words.join(" "), &seen.home, &seen.graph)
}

#[tokio::test]
async fn standard_output_holds_the_answer_alone_however_much_is_logged() {
    let desk = Desk::paused().await;
    let args = ["start", &job("job"), "-vvv", "-o", "json", "--log-format", "json"];
    let ran = desk.run(&args).await;
    assert_eq!(ran.ended(0).outcome(), "started");
    assert!(ran.stderr.lines().count() > 0, "{ran:?}");
    for line in ran.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(event["level"].is_string(), "{event}");
    }
    let ran = desk.run(&["status", &job("job"), "-vvv"]).await;
    assert!(ran.ended(0).stdout.starts_with(&job("job")), "{ran:?}");
}

#[tokio::test]
async fn quiet_is_quiet_and_the_default_logs_nothing_of_a_good_day() {
    let desk = Desk::paused().await;
    let ran = desk.run(&["start", &job("job"), "-q"]).await;
    assert_eq!(ran.ended(0).stderr, "");
    let ran = desk.run(&["history"]).await;
    assert_eq!(ran.ended(0).stderr, "");
}
