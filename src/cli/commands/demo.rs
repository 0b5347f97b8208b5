//! `startguard demo`: the main job end to end, with the emulator's count as the judge.

use std::{path::Path, time::Duration};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use crate::{
    cli::{
        Exit,
        compose::{Program, Session},
        failure::Failure,
        names::{Asked, NotFound},
        ui::{Tone, Ui, toned},
    },
    config::{Environment, Flags},
    emulator::{Effect, Emulator, EmulatorConfig, FaultRule, JobConfig, OperationKind},
    guard::Request,
    model::{Answer, OutcomeKind, Reason, printable},
};

/// Callers that storm one job, spread over [`PROCESSES`] guards that share nothing but the ledger.
const CALLERS: usize = 200;

/// Guards in the storm: what separate processes would be.
const PROCESSES: usize = 4;

/// The jobs' service principal.
const SP: &str = "60443998-8cf7-4e61-b05c-a53b658cb5e1";

/// One scene: a job, how it is asked, and what must come of it.
#[derive(Debug)]
struct Scene {
    job: &'static str,
    told: &'static str,
    accept: Option<&'static str>,
    storm: bool,
    outcome: OutcomeKind,
    reason: Option<Reason>,
    /// Start POSTs that the emulator must have counted for this job by the end of the scene.
    posts: u64,
}

impl Scene {
    const fn new(job: &'static str, told: &'static str, outcome: OutcomeKind, posts: u64) -> Self {
        Self { job, told, accept: None, storm: false, outcome, reason: None, posts }
    }

    const fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    const fn accepting(self, consent: &'static str) -> Self {
        Self { accept: Some(consent), ..self }
    }

    const fn stormed(self) -> Self {
        Self { storm: true, ..self }
    }
}

fn scenes() -> Vec<Scene> {
    vec![
        Scene::new("paused", "a paused job is started", OutcomeKind::Started, 1),
        Scene::new("paused", "asked again, the cool-down says when", OutcomeKind::Deferred, 1)
            .because(Reason::Cooldown),
        Scene::new("quarantined", "a job in quarantine is started", OutcomeKind::Started, 1),
        Scene::new("deletes", "TooManyDeletes is left to a person", OutcomeKind::Denied, 0)
            .because(Reason::NeedsConsent),
        Scene::new("deletes", "who then says so by name", OutcomeKind::Started, 1)
            .accepting("TooManyDeletes"),
        Scene::new("running", "a running job is left alone", OutcomeKind::AlreadyRunning, 0),
        Scene::new("never-run", "so is one that never ran", OutcomeKind::Denied, 0)
            .because(Reason::NotRun),
        Scene::new("storm", "200 callers of 4 processes ask at once", OutcomeKind::Started, 1)
            .stormed(),
        Scene::new("lost", "a start's answer is lost, reads find it", OutcomeKind::Started, 1),
        Scene::new("lost", "and it is not repeated", OutcomeKind::Deferred, 1)
            .because(Reason::Cooldown),
    ]
}

/// How a scene went.
#[derive(Debug)]
struct Played {
    scene: Scene,
    answer: String,
    posts: u64,
    held: bool,
}

pub(in crate::cli) async fn run(program: &Program) -> Result<Exit, Failure> {
    let emulator = Emulator::start(fleet())
        .await
        .map_err(|error| Failure::failed(&error, "the demo needs a free port on 127.0.0.1"))?;
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::failed(&error, "the demo needs a temporary folder; see TMPDIR")
    })?;
    let stage = Stage::set(program, &emulator, folder.path())?;
    narrate(
        program.ui,
        "A Graph emulator listens on loopback; the ledger is in a temporary folder.",
    )?;
    let mut played = Vec::new();
    for scene in scenes() {
        played.push(stage.play(scene, program.ui).await?);
    }
    let journal =
        stage.first().guard.store().verify().await.map_err(super::history::unavailable)?;
    let violations = emulator.violations();
    let held = violations == 0 && journal.broken.is_none() && played.iter().all(|one| one.held);
    tell(program.ui, &played, violations, journal.entries, held)?;
    emulator.shutdown().await;
    Ok(if held { Exit::OK } else { Exit::FAILED })
}

fn fleet() -> EmulatorConfig {
    let mut config = EmulatorConfig::empty();
    for job in [
        JobConfig::new("paused", "Paused"),
        JobConfig::new("quarantined", "Quarantine"),
        JobConfig::new("deletes", "Quarantine").quarantined("TooManyDeletes"),
        JobConfig::new("running", "Active"),
        JobConfig::new("never-run", "NotRun").scheduled("Disabled"),
        JobConfig::new("storm", "Paused"),
        JobConfig::new("lost", "Paused"),
    ] {
        config.add_job(SP, job);
    }
    config
        .faults
        .push(FaultRule::on(OperationKind::Start, Effect::lost_after()).on_job(SP, "lost"));
    // Slow enough that the whole storm has arrived before the one start is answered.
    config.timing.action_latency = Duration::from_millis(200);
    config
}

/// The guards and their judge.
struct Stage<'a> {
    emulator: &'a Emulator,
    processes: Vec<Session>,
}

impl<'a> Stage<'a> {
    /// Guards over one ledger, each made from a configuration as a process of its own would.
    fn set(program: &Program, emulator: &'a Emulator, folder: &Path) -> Result<Self, Failure> {
        let file = folder.join("startguard.toml");
        std::fs::write(&file, configuration(emulator.base_url(), folder)).map_err(|error| {
            Failure::failed(&error, "the demo needs a temporary folder; see TMPDIR")
        })?;
        let demo = Program::new(
            program.ui,
            Flags { config: Some(file), ..Flags::default() },
            // Nothing of the operator's own environment takes part.
            Environment::of([
                ("STARTGUARD_TOKEN", "demo"),
                ("HOME", &folder.to_string_lossy()),
                ("USER", "demo"),
            ]),
            program.stop.clone(),
        );
        let processes = (0..PROCESSES).map(|_| demo.session()).collect::<Result<_, _>>()?;
        Ok(Self { emulator, processes })
    }

    fn first(&self) -> &Session {
        // There are as many as PROCESSES says.
        &self.processes[0]
    }

    async fn play(&self, scene: Scene, ui: Ui) -> Result<Played, Failure> {
        let (answers, told) = if scene.storm {
            let answers = self.storm(&scene).await?;
            let told = storm_in_words(&answers);
            (answers, told)
        } else {
            let answer = ask(self.first(), &scene).await?;
            let told = answer.message.clone();
            (vec![answer], told)
        };
        let posts = self.emulator.job(SP, scene.job).starts;
        let held = posts == scene.posts && as_expected(&scene, &answers);
        narrate(ui, &format!("{}: {}", scene.told, told))?;
        let answer = answers.first().map(|answer| match answer.reason {
            Some(reason) => format!("{} ({reason})", answer.outcome),
            None => answer.outcome.to_string(),
        });
        let answer = if scene.storm { told } else { answer.unwrap_or_default() };
        Ok(Played { scene, answer, posts, held })
    }

    async fn storm(&self, scene: &Scene) -> Result<Vec<Answer>, Failure> {
        let callers =
            self.processes.iter().cycle().take(CALLERS).map(|session| ask(session, scene));
        futures_util::future::try_join_all(callers).await
    }
}

/// A configuration as an operator would write it.
fn configuration(origin: &str, folder: &Path) -> String {
    let ledger = folder.join("ledger.db");
    // A pace that lets a storm through to the ledger, which is to be shown.
    let mut text = format!(
        "[graph]\nendpoint = {origin:?}\nrequests_per_second = 1000\nburst = 1000\n\
         [auth]\nkind = \"token\"\n[store]\nurl = \"sqlite:{}\"\n",
        ledger.display()
    );
    for job in ["paused", "quarantined", "deletes", "running", "never-run", "storm", "lost"] {
        text.push_str(&format!("[jobs.{job}]\nservice_principal = \"{SP}\"\njob = \"{job}\"\n"));
    }
    text
}

async fn ask(session: &Session, scene: &Scene) -> Result<Answer, Failure> {
    let asked = Asked::parse(&session.settings, scene.job)?;
    let found = asked.find(session).await.map_err(NotFound::into_failure)?;
    let request = Request {
        job: found.job,
        policy: found.policy,
        actor: session.actor.clone(),
        accept: scene.accept.map(str::to_owned).into_iter().collect(),
        reason: Some("demo".to_owned()),
        dry_run: false,
        lease_wait: Duration::ZERO,
        wait: None,
    };
    Ok(session.guard.start(request).await)
}

/// A single caller gets just the scene's answer. Of a storm the callers of one process share one
/// start, and everybody else is told to wait.
fn as_expected(scene: &Scene, answers: &[Answer]) -> bool {
    let wanted = |answer: &Answer| answer.outcome == scene.outcome && answer.reason == scene.reason;
    if !scene.storm {
        return answers.iter().all(wanted);
    }
    let led = answers.iter().filter(|answer| wanted(answer) && !answer.coalesced).count();
    let others = answers.iter().all(|answer| {
        wanted(answer)
            || matches!(
                (answer.outcome, answer.reason),
                (OutcomeKind::Deferred, Some(Reason::LeaseHeld | Reason::Cooldown))
            )
    });
    led == 1 && others
}

fn storm_in_words(answers: &[Answer]) -> String {
    let count = |wanted: fn(&Answer) -> bool| answers.iter().filter(|one| wanted(one)).count();
    let started = count(|one| one.outcome == OutcomeKind::Started && !one.coalesced);
    let joined = count(|one| one.outcome == OutcomeKind::Started && one.coalesced);
    let deferred = count(|one| one.outcome == OutcomeKind::Deferred);
    format!("{started} started, {joined} joined it, {deferred} deferred")
}

fn narrate(ui: Ui, text: &str) -> Result<(), Failure> {
    if ui.is_json() { Ok(()) } else { ui.text(&ui.paragraph(text, "")) }
}

fn tell(
    ui: Ui,
    played: &[Played],
    violations: u64,
    entries: u64,
    held: bool,
) -> Result<(), Failure> {
    if ui.is_json() {
        for one in played {
            ui.json(&json!({
                "job": one.scene.job, "scene": one.scene.told, "answer": one.answer,
                "posts": one.posts, "held": one.held,
            }))?;
        }
        return ui.json(&json!({
            "violations": violations, "journalEntries": entries, "held": held,
        }));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["JOB", "ANSWER", "POSTS", "AS EXPECTED"]);
    for one in played {
        let held = if one.held { "yes" } else { "NO" };
        table.add_row([one.scene.job, &one.answer, &one.posts.to_string(), held]);
    }
    let lines: Vec<String> =
        table.lines().map(|line| printable(line.trim()).into_owned()).collect();
    let (said, tone) = match held {
        true => ("every expectation held", Tone::Good),
        false => ("an expectation did not hold", Tone::Bad),
    };
    ui.text(&format!(
        "\n{}\n\nviolations: {violations}\nthe journal holds {entries} entries\n{}\n",
        lines.join("\n"),
        toned(said, tone)
    ))
}
