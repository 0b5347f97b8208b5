//! `startguard doctor`: what is well, what is not, and what to do about it.

use std::time::Duration;

use futures_util::{StreamExt as _, stream::FuturesOrdered};

use crate::{
    cli::{
        Exit,
        check::{self, Check, Health},
        compose::{Program, Reach, Session},
        failure::{Failure, chain},
        names::Asked,
        render,
    },
    config::Settings,
    graph::Probe,
    model::Reason,
    ports::GraphError,
};

/// Longest time that one check may take: a person waits for it.
const CHECK_WITHIN: Duration = Duration::from_secs(15);

/// A clock that is off by more than this confuses people who compare journals with Entra's logs.
const CLOCK_OFF_NOTICE: Duration = Duration::from_secs(30);

/// Off by more than this, Entra refuses signed assertions and tokens look expired.
const CLOCK_OFF_BAD: Duration = Duration::from_secs(300);

/// Jobs of the configuration that are read, at the most: enough to see a missing permission, few
/// enough that a fleet of hundreds is not read whenever someone looks at its health.
const JOBS_READ: usize = 20;

pub(in crate::cli) async fn run(program: &Program) -> Result<Exit, Failure> {
    let ui = program.ui;
    let settings = match program.quiet_settings() {
        Ok(settings) => settings,
        Err(failure) => {
            let check = Check::new("configuration", Health::Failed, failure.message);
            Check { remedy: failure.remedy, ..check }.tell(ui)?;
            return Ok(failure.exit);
        }
    };
    let mut worst = Exit::OK;
    let mut report = |check: &Check| {
        if check.status == Health::Failed {
            worst = worst.max(Exit::FAILED);
        }
        check.tell(ui)
    };
    for check in configuration(&settings) {
        report(&check)?;
    }
    let session = program.session_of(settings)?;
    for check in check::of_store(&**session.guard.store()).await {
        report(&check)?;
    }
    let reach = match session.reach() {
        Ok(reach) => reach,
        Err(failure) => {
            let check = Check::new("tls", Health::Failed, failure.message);
            report(&Check { remedy: failure.remedy, ..check })?;
            return Ok(worst);
        }
    };
    let credential = credential(reach, &session).await;
    let has_token = credential.status == Health::Ok;
    report(&credential)?;
    if let Some(wait) = session.guard.told_to_wait().await {
        let when = render::when(session.clock.wall(), wait);
        let message = format!("Graph said to wait; not asked before: {when}");
        report(&Check::new("graph", Health::Skipped, message))?;
        return Ok(worst);
    }
    let probe = reach.graph.probe(session.clock.tick().after(CHECK_WITHIN)).await;
    report(&reachability(&session.settings, reach, &probe))?;
    if let Ok(probe) = &probe {
        report(&clock(probe, &session))?;
        if let Some(wait) = probe.retry_after {
            session.guard.obey(probe.status, wait).await;
            return Ok(worst);
        }
        if has_token {
            report(&names(probe))?;
            for check in jobs(&session).await {
                report(&check)?;
            }
        }
    }
    Ok(worst)
}

fn configuration(settings: &Settings) -> Vec<Check> {
    let file = match &settings.file {
        Some(file) => format!("{}", file.display()),
        None => "no file; defaults, variables and flags".to_owned(),
    };
    let message =
        format!("{file}; {} jobs; Graph at {}", settings.jobs.len(), settings.graph.origin);
    let warnings = settings
        .warnings
        .iter()
        .map(|warning| Check::new("configuration", Health::Warning, warning.clone()));
    std::iter::once(Check::new("configuration", Health::Ok, message)).chain(warnings).collect()
}

async fn credential(reach: &Reach, session: &Session) -> Check {
    match reach.identity.token(Duration::ZERO).await {
        Ok(token) => {
            let ends = token.expires_at.map(|at| {
                let left = Duration::try_from(at.duration_since(session.clock.wall()));
                format!(", good for {}", render::span(left.unwrap_or_default()))
            });
            let message = format!("{}{}", reach.identity.describe(), ends.unwrap_or_default());
            Check::new("credential", Health::Ok, message)
        }
        Err(error) => {
            Check::new("credential", Health::Failed, chain(&error)).remedy(error.remedy.clone())
        }
    }
}

fn reachability(settings: &Settings, reach: &Reach, probe: &Result<Probe, GraphError>) -> Check {
    let origin = &settings.graph.origin;
    let through = match reach.graph.proxy() {
        Some(proxy) => format!(" through the proxy {proxy}"),
        None => String::new(),
    };
    match probe {
        Ok(Probe { status: 401, code, .. }) => {
            let code = code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
            Check::new(
                "graph",
                Health::Failed,
                format!("{origin} answers{through}, and does not accept the token (HTTP 401{code})"),
            )
            .remedy("check that the token is for this cloud and has not run out; a missing permission looks like this, too")
        }
        Ok(Probe { status, retry_after: Some(wait), .. }) => Check::new(
            "graph",
            Health::Warning,
            format!(
                "{origin} answers{through} with HTTP {status} and says to wait for {}",
                render::span(*wait)
            ),
        )
        .remedy("ask again then; every call that shares this store waits until then"),
        // 403 is what a credential gets that may start jobs and not look names up.
        Ok(Probe { status: 200 | 403, round_trip, .. }) => {
            let message =
                format!("{origin} answers{through} in {} ms", round_trip.as_millis());
            Check::new("graph", Health::Ok, message)
        }
        Ok(Probe { status: status @ (429 | 500..), .. }) => Check::new(
            "graph",
            Health::Failed,
            format!("{origin} answers{through} with HTTP {status}"),
        )
        .remedy("ask again later; Microsoft's service health page tells of outages"),
        Ok(Probe { status, .. }) => Check::new(
            "graph",
            Health::Failed,
            format!("{origin} answers{through} with HTTP {status}, which is not how Graph answers"),
        )
        .remedy("check `[graph] endpoint` and the proxies on the way"),
        Err(GraphError::NoToken(_)) => {
            Check::new("graph", Health::Skipped, "not asked without a token")
        }
        Err(error) => Check::new("graph", Health::Failed, format!("{origin}{through}: {}", chain(error)))
            .remedy("check the network, `[graph] endpoint`, the proxy variables (HTTPS_PROXY, NO_PROXY) and `[graph] ca_file`"),
    }
}

fn clock(probe: &Probe, session: &Session) -> Check {
    let Some(date) = probe.date else {
        return Check::new("clock", Health::Skipped, "Graph's answer has no Date to compare with");
    };
    let now = session.clock.wall();
    let off = Duration::try_from(now.duration_since(date).abs()).unwrap_or_default();
    let side = if now < date { "behind" } else { "ahead of" };
    // The Date header has whole seconds, and the answer was under way.
    let off = off.saturating_sub(probe.round_trip).saturating_sub(Duration::from_secs(1));
    let remedy = "set the clock by a time service (`timedatectl set-ntp true`)";
    if off > CLOCK_OFF_NOTICE {
        let status = if off > CLOCK_OFF_BAD { Health::Failed } else { Health::Warning };
        let message = format!("this clock is {} {side} Graph's", render::span(off));
        return Check::new("clock", status, message).remedy(remedy);
    }
    Check::new("clock", Health::Ok, "this clock and Graph's agree")
}

fn names(probe: &Probe) -> Check {
    match probe.status {
        200 => Check::new(
            "permissions",
            Health::Ok,
            "names can be looked up; no request shows the right to start without starting something",
        ),
        403 => Check::new(
            "permissions",
            Health::Warning,
            "names and application ids cannot be looked up with this credential; object ids work",
        )
        .remedy("grant Application.Read.All, or use object ids"),
        status => Check::new(
            "permissions",
            Health::Skipped,
            format!("not known: the look-up was answered with HTTP {status}"),
        ),
    }
}

/// Reads the configuration's jobs, one request each.
async fn jobs(session: &Session) -> Vec<Check> {
    let names: Vec<&String> = session.settings.jobs.keys().take(JOBS_READ).collect();
    let mut reads: FuturesOrdered<_> = names
        .into_iter()
        .map(|name| async move {
            let asked = match Asked::parse(&session.settings, name) {
                Ok(asked) => asked,
                Err(failure) => return (name, Err(failure)),
            };
            match asked.find(session).await {
                Ok(found) => {
                    let actor = session.actor.clone();
                    (name, Ok(session.guard.status(found.job, found.policy, actor).await))
                }
                Err(unknown) => (name, Err(unknown.into_failure())),
            }
        })
        .collect();
    let mut checks = Vec::new();
    while let Some((name, read)) = reads.next().await {
        checks.push(match read {
            Ok(report) if !report.read_failed => {
                let state = report.observation.map(|seen| seen.summary()).unwrap_or_default();
                Check::new("job", Health::Ok, format!("{name} can be read: {state}"))
            }
            Ok(report) => {
                let reason = report.start.reason.map(Reason::as_str).unwrap_or_default();
                let message = format!("{name} cannot be read ({reason}): {}", report.start.message);
                let check = Check::new("job", Health::Failed, message);
                Check { remedy: report.start.remedy, ..check }
            }
            Err(failure) => {
                let check =
                    Check::new("job", Health::Failed, format!("{name}: {}", failure.message));
                Check { remedy: failure.remedy, ..check }
            }
        });
    }
    checks
}
