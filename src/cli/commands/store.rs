//! `startguard store`: looking after the store itself.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    cli::{
        Exit,
        args::plain,
        check::{self, Check, Health},
        commands::history::{held, unavailable},
        compose::Program,
        failure::{Failure, chain},
        render,
        ui::{self, Tone, toned},
    },
    config::{Settings, StoreUrl},
    model::printable,
    ports::Store,
    store::{MigrateError, migrate},
};

/// Entries removed in one transaction: some ten milliseconds, which a start that comes in between
/// hardly notices, and a million entries are gone in a minute.
const PRUNED_AT_ONCE: u32 = 1_000;

/// Check the store, move it, or prune its journal
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(in crate::cli) struct StoreArgs {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Check schema, clock, durability and the journal's hash chains
    ///
    /// Every line that is not well says what to do about it; ends with 1 where the guard's word would
    /// not hold. Reads the whole journal, and asks Graph nothing.
    Check,
    Migrate(MigrateArgs),
    /// Remove entries of the journal that are older than `[store] keep`
    ///
    /// A checkpoint stays in their place, from which the rest of each chain still verifies. Every
    /// start, hold, release and reset does some of this; here all that is due goes, in small
    /// transactions that no start waits for. For a timer, where the role that starts may not remove
    /// anything.
    Prune,
}

/// Copy records and journal to an empty store, and check them there
///
/// Stop every startguard that uses the old store first, and let them use the new one from then on:
/// two stores are two guards.
#[derive(Debug, Args)]
struct MigrateArgs {
    /// The store in use so far: sqlite:PATH or postgres://...
    #[arg(long, value_name = "URL", value_parser = plain)]
    from: String,
    /// The store to move to, which must hold nothing
    #[arg(long, value_name = "URL", value_parser = plain)]
    to: String,
}

pub(in crate::cli) async fn run(args: StoreArgs, program: &Program) -> Result<Exit, Failure> {
    match args.work {
        Work::Check => check(program).await,
        Work::Migrate(args) => move_to(&args, program).await,
        Work::Prune => prune(program).await,
    }
}

async fn check(program: &Program) -> Result<Exit, Failure> {
    let settings = program.settings()?;
    let store = program.open(&settings.store.url, &settings)?;
    let mut worst = Exit::OK;
    let mut report = |check: &Check| {
        if check.status == Health::Failed {
            worst = Exit::FAILED;
        }
        check.tell(program.ui)
    };
    for check in check::of_store(&*store).await {
        report(&check)?;
    }
    report(&journal(&*store).await)?;
    Ok(worst)
}

async fn journal(store: &dyn Store) -> Check {
    match store.verify().await {
        Ok(found) => match found.broken {
            None => Check::new("journal", Health::Ok, format!("holds: {}", held(&found))),
            Some(broken) => Check::new(
                "journal",
                Health::Failed,
                format!(
                    "does not hold: entry {} of {}: {}",
                    broken.seq, broken.job, broken.problem
                ),
            )
            .remedy(
                "keep the store as it is for whoever looks into it; `startguard history -o json` \
                 shows what it says now",
            ),
        },
        Err(error) => {
            Check::new("journal", Health::Failed, chain(&error)).remedy(error.remedy.clone())
        }
    }
}

async fn prune(program: &Program) -> Result<Exit, Failure> {
    let settings = program.settings()?;
    let (store, keep) = (program.open(&settings.store.url, &settings)?, settings.store.keep);
    let mut entries = 0_u64;
    loop {
        let pruned = store.prune(keep, PRUNED_AT_ONCE).await.map_err(unavailable)?;
        entries = entries.saturating_add(pruned.entries);
        if !pruned.more {
            break;
        }
    }
    if program.ui.is_json() {
        program.ui.json(&json!({"entries": entries, "keepSeconds": keep.as_secs()}))?;
    } else {
        let keep = render::span(keep);
        let done = toned("pruned:", Tone::Good);
        program.ui.text(&format!("{done} {entries} entries older than {keep}\n"))?;
    }
    Ok(Exit::OK)
}

async fn move_to(args: &MigrateArgs, program: &Program) -> Result<Exit, Failure> {
    // For `[graph] ca_file` alone, by which a database's certificate may have to be checked.
    let settings = program.quiet_settings()?;
    let from = named("--from", &args.from, &settings, program)?;
    let to = named("--to", &args.to, &settings, program)?;
    if from.describe() == to.describe() {
        return Err(Failure::usage(
            format!("--from and --to are one store, {}", to.describe()),
            "name another store to move to",
        ));
    }
    let moved = migrate(&*from, &*to).await.map_err(|error| unmoved(&error))?;
    let (from, to) = (from.describe(), to.describe());
    if program.ui.is_json() {
        program.ui.json(&json!({
            "from": from, "to": to, "jobs": moved.jobs, "tenants": moved.tenants,
            "entries": moved.entries,
        }))?;
        return Ok(Exit::OK);
    }
    let mut text = format!(
        "{} {} jobs, {} tenants and {} journal entries from {} to {}\n",
        toned("moved:", Tone::Good),
        moved.jobs,
        moved.tenants,
        moved.entries,
        printable(&from),
        printable(&to)
    );
    let next = format!(
        "next: set `[store] url` to {to} for every startguard, then take {from} out of use: two \
         stores are two guards"
    );
    text.push_str(&program.ui.paragraph(&next, "  "));
    program.ui.text(&text)?;
    Ok(Exit::OK)
}

/// The store that a flag names.
fn named(
    flag: &'static str,
    url: &str,
    settings: &Settings,
    program: &Program,
) -> Result<Arc<dyn Store>, Failure> {
    let (url, doubt) = StoreUrl::of_flag(flag, url, &program.environment)
        .map_err(|error| Failure::usage(chain(&error), error.remedy()))?;
    if let Some(doubt) = doubt.filter(|_| !program.ui.quiet) {
        ui::warn(&doubt);
    }
    program.open(&url, settings)
}

fn unmoved(error: &MigrateError) -> Failure {
    Failure::failed(error, error.remedy())
}
