//! Running the Azure CLI.
//!
//! `azure_identity`'s own runner leaves a hanging `az` behind when the call's deadline has passed;
//! this one ends it, with everything it started, and reads no more than a token's worth.

use std::{
    ffi::OsStr,
    io,
    process::{Output, Stdio},
};

use async_trait::async_trait;
use azure_identity::Executor;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

use super::{
    refusal::Refusal,
    remedy,
    text::{one_line, without_secrets},
};

/// A token with its wrapping takes a few KB; what `az` says of an error, less.
const LONGEST_OUTPUT: u64 = 256 * 1024;

/// What a shell answers when it finds no such program.
const NOT_FOUND: i32 = 127;

/// Runs the shell command that `azure_identity` puts together.
#[derive(Debug)]
pub(super) struct Az;

#[async_trait]
impl Executor for Az {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The shell starts az, and az starts Python: a group, to be ended as one.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group::of(child.id());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = tokio::try_join!(read(out), read(err))?;
        let status = child.wait().await?;
        group.ended();
        if status.success() {
            Ok(Output { status, stdout, stderr })
        } else {
            let said = String::from_utf8_lossy(&stderr);
            Err(io::Error::other(refused(status.code(), &said)))
        }
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if let Some(from) = from {
        from.take(LONGEST_OUTPUT).read_to_end(&mut content).await?;
    }
    Ok(content)
}

/// A process group that is killed unless it has ended: when the deadline drops the call.
struct Group(Option<Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        Self(id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Its leader has been waited for, so its number may soon be somebody else's.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // An error means that it is gone already.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// What an `az` that failed meant.
fn refused(code: Option<i32>, said: &str) -> Refusal {
    if code == Some(NOT_FOUND) {
        return Refusal::lasting(
            "az is not on the PATH",
            "install the Azure CLI and run `az login`, or choose another kind in `[auth] kind`",
        )
        .absent();
    }
    let line = said
        .lines()
        .map(|line| one_line(&without_secrets(line, &[])))
        .find(|line| line.contains("ERROR") || line.contains("AADSTS"))
        .unwrap_or_else(|| one_line(&without_secrets(said, &[])));
    let line = line.trim_start_matches("ERROR:").trim();
    if let Some(aadsts) = remedy::aadsts_code(said) {
        return if remedy::passes(aadsts) {
            Refusal::transient(line, "ask again later; the token endpoint has a fault")
        } else {
            Refusal::lasting(line, remedy::of_aadsts(aadsts))
        };
    }
    if said.contains("az login") {
        return Refusal::lasting(
            "nobody is logged in to the Azure CLI",
            "run `az login`, or choose another kind in `[auth] kind`",
        )
        .absent();
    }
    let ended = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with status {code}"));
    let problem = if line.is_empty() {
        format!("az ended {ended}")
    } else {
        format!("az ended {ended}: {line}")
    };
    let remedy = "run `az account get-access-token` by hand to see what is wrong";
    // How Python's HTTP client words an endpoint that is away.
    if ["Max retries exceeded", "Connection aborted", "timed out"].iter().any(|w| said.contains(w))
    {
        Refusal::transient(problem, remedy)
    } else {
        Refusal::lasting(problem, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cli_and_a_missing_log_in_are_told_apart() {
        let missing = refused(Some(127), "/bin/sh: 1: az: not found");
        assert!(missing.absent && missing.problem.contains("PATH"));
        let out = refused(Some(1), "ERROR: Please run 'az login' to setup account.\n");
        assert!(out.absent && out.remedy.contains("az login"));
    }

    #[test]
    fn a_code_in_what_az_says_brings_its_remedy() {
        let said = "WARNING: hm\nERROR: AADSTS50076: Due to a configuration change\u{1b}[0m made \
                    by your administrator\r\nTrace ID: 1\r\nInteractive authentication is needed. \
                    Please run:\naz login --scope x\n";
        let refusal = refused(Some(1), said);
        assert!(refusal.problem.starts_with("AADSTS50076: Due to"), "{}", refusal.problem);
        assert!(!refusal.problem.contains('\u{1b}'));
        assert!(refusal.remedy.contains("multi-factor") && !refusal.absent && !refusal.transient);
        assert!(refused(Some(1), "AADSTS90033: busy").transient);
    }

    #[test]
    fn what_az_says_is_shown_without_tokens() {
        let said = format!("ERROR: cannot parse eyJ{}", "canary".repeat(5));
        let refusal = refused(Some(2), &said);
        assert_eq!(refusal.problem, "az ended with status 2: cannot parse [hidden]");
        assert_eq!(refused(None, "").problem, "az ended by a signal");
        let away = "HTTPSConnectionPool(host='login'): Max retries exceeded with url: /x";
        assert!(refused(Some(1), away).transient);
    }
}
