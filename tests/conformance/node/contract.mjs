// What docs/cli.md promises of every answer, and what it says of a state, written down here once more: an oracle that shares no
// code with the program.

const EXITS = { started: 0, alreadyRunning: 0, wouldStart: 0, denied: 3, deferred: 4, failed: 1, inDoubt: 6 };
const REASONS = {
  denied: ["notRun", "notConfigured", "unknownState", "needsConsent"],
  deferred: [
    "cooldown", "budgetExhausted", "tenantBudgetExhausted", "leaseHeld", "rateLimited", "throttled", "onHold", "maintenanceWindow",
    "breakerOpen", "inDoubt",
  ],
  failed: ["authentication", "forbidden", "notFound", "graphUnavailable", "badResponse", "storeUnavailable", "timeout"],
};
const NEED_CONSENT = ["TooManyDeletes", "QuarantinedOnDemand"];

/** The JSON lines of a run, or null where a line is none. */
export function lines({ out }) {
  try {
    return out.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  } catch {
    return null;
  }
}

/** Whether a run ended as a program ends: with a code of the contract, without a panic. */
export function endedWell({ code, signal, err }) {
  return signal === null && [0, 1, 2, 3, 4, 5, 6].includes(code) && !/panicked|RUST_BACKTRACE/.test(err);
}

/** Whether this is an answer to `start`, and its exit code the one that goes with it. */
export function isStartAnswer(answer, code) {
  const { outcome, reason, job, graph, message } = answer ?? {};
  const refused = outcome === "failed" && ["authentication", "forbidden"].includes(reason);
  return (
    outcome in EXITS &&
    (REASONS[outcome]?.includes(reason) ?? reason === null) &&
    code === (refused ? 5 : EXITS[outcome]) &&
    typeof job?.jobId === "string" &&
    typeof job?.servicePrincipalId === "string" &&
    Number.isInteger(graph?.reads) &&
    Number.isInteger(graph?.starts) &&
    typeof message === "string" &&
    "observed" in answer &&
    (outcome === "deferred" ? Number.isFinite(answer.retryAfterSeconds) : true)
  );
}

/** Whether this is a line of `status` or `list`. */
export function isJobLine(line) {
  const { job, code, schedule, quarantine } = line ?? {};
  return typeof job?.jobId === "string" && typeof code !== "undefined" && "schedule" in line && (quarantine === null || typeof quarantine === "object");
}

/** What a start of a job that reads like this is answered, given these consents; a dry run says `wouldStart`. */
export function expected(job, accepted = []) {
  const code = job.status?.code?.toLowerCase();
  const schedule = job.schedule?.state?.toLowerCase();
  const quarantine = job.status?.quarantine?.reason;
  switch (code) {
    case "active":
      return { outcome: "alreadyRunning", reason: null };
    case "notrun":
      return schedule === "active" ? { outcome: "alreadyRunning", reason: null } : { outcome: "denied", reason: "notRun" };
    case "notconfigured":
      return { outcome: "denied", reason: "notConfigured" };
    case "paused":
    case "quarantine": {
      const consent = [
        ...(NEED_CONSENT.includes(quarantine) ? [quarantine] : []),
        ...(job.status.escrowsPruned === true ? ["escrowsPruned"] : []),
      ].filter((reason) => !accepted.includes(reason));
      return consent.length > 0 ? { outcome: "denied", reason: "needsConsent", consent } : { outcome: "started", reason: null };
    }
    default:
      return { outcome: "denied", reason: "unknownState" };
  }
}
