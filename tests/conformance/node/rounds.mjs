// One round: a world that the mock made from a seed, and every command that reads or starts, on a ledger of its own.

import { endedWell, expected, isJobLine, isStartAnswer, lines } from "./contract.mjs";
import { Place } from "./program.mjs";

const PRINCIPAL = "60443998-8cf7-4e61-b05c-a53b658cb5e1";
// With letters that must be encoded in a path.
const JOB = "BoxOutDelta.e4bbf445+(EU)";
const TARGET = `${PRINCIPAL}/${JOB}`;
const JOB_PATH = `/v1.0/servicePrincipals/${PRINCIPAL}/synchronization/jobs/${JOB}`;

/** Runs commands and holds what they send and say against the description and the contract. */
export class Rounds {
  tally = {};
  requests = 0;
  starts = 0;

  constructor(program, recorder, checks) {
    Object.assign(this, { program, recorder, checks });
  }

  /** One world, in which every request is answered from `prefer`. */
  async round(name, prefer) {
    this.recorder.prefer = prefer;
    const place = await Place.make(this.program, this.recorder.url);
    try {
      const status = await this.#command(name, place, "status", TARGET);
      this.#holds(name, "status gives one line", status.lines?.length === 1 && isJobLine(status.lines[0]), status);
      await this.#dryRun(name, place);
      await this.#start(name, place);
      await this.#list(name, place);
      await this.#byName(name, place);
      const doctor = await this.#command(name, place, "doctor");
      const well = doctor.lines?.length > 0 && doctor.lines.every((line) => typeof line.check === "string" && typeof line.status === "string");
      this.#holds(name, "doctor gives lines", well, doctor);
    } finally {
      await place.remove();
    }
  }

  /** A start in a world where requests are refused; returns its answer. */
  async refused(name, prefer) {
    this.recorder.prefer = prefer;
    const place = await Place.make(this.program, this.recorder.url);
    try {
      const run = await this.#command(name, place, "start", TARGET);
      this.#holds(name, "start answers", run.lines?.length === 1 && isStartAnswer(run.lines[0], run.code), run);
      return { ...run.lines?.[0], posts: run.posts.length };
    } finally {
      await place.remove();
    }
  }

  async #dryRun(name, place) {
    const run = await this.#command(name, place, "start", "--dry-run", TARGET);
    const [answer] = run.lines ?? [];
    this.#holds(name, "a dry run answers", run.lines?.length === 1 && isStartAnswer(answer, run.code), run);
    const wanted = this.#wanted(run);
    const outcome = wanted.outcome === "started" ? "wouldStart" : wanted.outcome;
    this.#holds(name, "a dry run decides by what the mock said", answer?.outcome === outcome && answer?.reason === wanted.reason, { run, wanted });
  }

  async #start(name, place) {
    const run = await this.#command(name, place, "start", TARGET);
    const [answer] = run.lines ?? [];
    this.#holds(name, "a start answers", run.lines?.length === 1 && isStartAnswer(answer, run.code), run);
    const wanted = this.#wanted(run);
    this.#holds(name, "a start decides by what the mock said", answer?.outcome === wanted.outcome && answer?.reason === wanted.reason, { run, wanted });
    this.#count(`${answer?.outcome}${answer?.reason ? `/${answer.reason}` : ""}`);
    if (wanted.reason !== "needsConsent") return;
    this.#holds(name, "the consent that is missing is named", JSON.stringify(answer?.consent) === JSON.stringify(wanted.consent), { run, wanted });
    // In a world that changes, the job may read otherwise by now.
    const accepted = await this.#command(name, place, "start", TARGET, ...wanted.consent.flatMap((reason) => ["--accept", reason]));
    const then = this.#wanted(accepted, wanted.consent);
    const [second] = accepted.lines ?? [];
    const fits = second?.outcome === then.outcome && second?.reason === then.reason && accepted.posts.length === (then.outcome === "started" ? 1 : 0);
    this.#holds(name, "with consent it starts", fits, { run: accepted, wanted: then });
    this.#count(`accepted: ${second?.outcome}`);
  }

  async #list(name, place) {
    const run = await this.#command(name, place, "list", PRINCIPAL);
    const [page] = run.exchanges;
    const jobs = page?.status === 200 ? JSON.parse(page.body).value : undefined;
    // A next page is anything that the mock makes up; another origin is refused, as it should be.
    if (run.exchanges.length !== 1 || !jobs || JSON.parse(page.body)["@odata.nextLink"]) return;
    // A job without an id has no line, and the exit code says that the list is not whole.
    const named = jobs.filter(({ id }) => typeof id === "string");
    const codes = named.map((job) => job.status?.code ?? null);
    const whole = named.length === jobs.length;
    this.#holds(name, "list gives a line per job", run.lines?.length === named.length && run.lines.every(isJobLine), run);
    this.#holds(name, "list says whether it is whole", run.code === (whole ? 0 : 1), run);
    this.#holds(name, "list shows the codes that the mock gave", JSON.stringify(run.lines?.map((line) => line.code || null)) === JSON.stringify(codes), run);
  }

  async #byName(name, place) {
    const run = await this.#command(name, place, "status", "It's a (provisioning) app & more");
    const [look] = run.exchanges;
    this.#holds(name, "a name is looked up", look?.method === "GET" && look.path.startsWith("/v1.0/servicePrincipals?"), run);
    const found = look?.status === 200 ? JSON.parse(look.body) : {};
    this.#count(found["@odata.nextLink"] ? "names: a next page" : `names: ${found.value?.length} found`);
    if (found["@odata.nextLink"] || !found.value) return;
    const unique = found.value.length === 1 && typeof found.value[0].id === "string";
    this.#holds(name, "a name that is not unique is not guessed", unique ? run.exchanges.length > 1 : run.code !== 0 && run.exchanges.length === 1, run);
  }

  /** What a start of the job as it was last read is answered. */
  #wanted(run, accepted = []) {
    const read = run.exchanges.findLast((exchange) => exchange.method === "GET" && isAt(exchange, JOB_PATH) && exchange.status === 200);
    return read ? expected(JSON.parse(read.body), accepted) : {};
  }

  async #command(name, place, ...args) {
    this.recorder.take();
    const run = await place.run(...args);
    run.exchanges = this.recorder.take();
    run.lines = lines(run);
    run.posts = run.exchanges.filter((exchange) => exchange.method !== "GET");
    this.requests += run.exchanges.length;
    this.starts += run.posts.length;
    this.#holds(name, "the program ends as it should", endedWell(run), run);
    this.#holds(name, "every line is JSON", run.lines !== null, run);
    // The mock words its own refusals as problems; Graph's errors are JSON.
    const unfit = run.exchanges.filter((exchange) => exchange.status === 0 || exchange.type.startsWith("application/problem+json"));
    this.#holds(name, "every request fits the description", unfit.length === 0, unfit);
    this.#posts(name, run, args);
    return run;
  }

  /** The rule: no POST but a start, at most one, and only after a read that said Paused or Quarantine. */
  #posts(name, run, args) {
    const may = args[0] === "start" && !args.includes("--dry-run");
    if (!may) {
      this.#holds(name, "nothing but a start sends a POST", run.posts.length === 0, run);
      return;
    }
    const before = run.exchanges.slice(0, run.exchanges.findIndex((exchange) => exchange.method !== "GET"));
    const read = before.findLast((exchange) => isAt(exchange, JOB_PATH));
    const code = read?.status === 200 ? JSON.parse(read.body).status?.code : undefined;
    const fits = run.posts.length === 0 || (isAt(run.posts[0], `${JOB_PATH}/start`) && ["Paused", "Quarantine"].includes(code));
    this.#holds(name, "at most one POST, after a read that said Paused or Quarantine", run.posts.length <= 1 && fits, run);
  }

  #holds(round, fact, condition, run) {
    this.checks.holds(fact, condition, condition || `${round}: ${shortened(run)}`);
  }

  #count(what) {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }
}

function isAt(exchange, path) {
  return decodeURIComponent(exchange.path) === path;
}

/** What a person needs to see of a run that went wrong. */
function shortened(found) {
  const cut = (key, value) => (typeof value === "string" && value.length > 400 ? `${value.slice(0, 400)}…` : value);
  return JSON.stringify(found, cut);
}
