// Errors with bodies that the mock makes from the description's schema of them.

const READS = {
  400: ["failed", "badResponse"],
  401: ["failed", "authentication"],
  403: ["failed", "forbidden"],
  404: ["failed", "notFound"],
  409: ["failed", "badResponse"],
  429: ["deferred", "throttled"],
  500: ["failed", "graphUnavailable"],
  502: ["failed", "graphUnavailable"],
  503: ["failed", "graphUnavailable"],
  504: ["failed", "graphUnavailable"],
};

const STARTS = {
  400: ["failed", "badResponse"],
  401: ["failed", "authentication"],
  403: ["failed", "forbidden"],
  404: ["failed", "notFound"],
  409: ["failed", "badResponse"],
  429: ["deferred", "throttled"],
  // Without a clear answer nothing is sent again; the mock's job stays as it was.
  500: ["inDoubt", null],
  502: ["inDoubt", null],
  503: ["inDoubt", null],
  504: ["inDoubt", null],
};

/** Refuses reads, then starts, with every status that matters. */
export async function refusals(run, recorder, mock, checks) {
  for (const [status, wanted] of Object.entries(READS)) {
    const answer = await run.refused(`a read refused with ${status}`, () => `code=${status}, dynamic=true, seed=${status}`);
    compare(checks, `a read refused with ${status}`, answer, wanted, 0);
  }
  const seed = await startable(mock);
  for (const [status, wanted] of Object.entries(STARTS)) {
    const prefer = (method) => (method === "GET" ? `dynamic=true, seed=${seed}` : `code=${status}, dynamic=true, seed=${status}`);
    const answer = await run.refused(`a start refused with ${status}`, prefer);
    compare(checks, `a start refused with ${status}`, answer, wanted, 1);
  }
}

function compare(checks, name, answer, [outcome, reason], posts) {
  const { outcome: said, reason: why, posts: sent } = answer;
  checks.holds(`${name} is ${outcome}`, said === outcome && why === reason && sent === posts, { said, why, sent });
}

/** A seed whose job may be started without anybody's consent. */
async function startable(mock) {
  for (let seed = 1; seed < 500; seed += 1) {
    const url = `${mock}/servicePrincipals/60443998-8cf7-4e61-b05c-a53b658cb5e1/synchronization/jobs/x`;
    const job = await (await fetch(url, { headers: { Prefer: `dynamic=true, seed=${seed}` } })).json();
    if (job.status?.code === "Paused" && !job.status.escrowsPruned && !job.status.quarantine) return seed;
  }
  throw new Error("no seed makes a job that is plainly paused");
}
