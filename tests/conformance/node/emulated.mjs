// The emulator behind Prism's proxy, which compares every request and every answer with the description.

import { lines } from "./contract.mjs";
import { Prism } from "./prism.mjs";
import { Emulator, Place } from "./program.mjs";
import { Recorder } from "./recorder.mjs";

const TOKEN = { Authorization: "Bearer a-token", Accept: "application/json" };

/** Walks through everything that the emulator answers, and drives startguard through it. */
export async function proxied(program, file, checks) {
  const emulator = await Emulator.start(program);
  const prism = await Prism.proxy(file, `${emulator.url}/v1.0`);
  const recorder = await Recorder.start();
  try {
    recorder.leadTo(prism.url);
    const requests = await walk(checks, prism.url);
    await guarded(program, recorder, checks, await everyJob(prism.url));
    const { violations } = await emulator.counts();
    console.log(`emulator: ${requests} answers fit the description, ${recorder.exchanges.length} more to startguard; ${violations} violations`);
  } finally {
    await recorder.stop();
    await prism.stop();
    await emulator.stop();
  }
}

async function everyJob(url) {
  const { value } = await (await fetch(`${url}/servicePrincipals`, { headers: TOKEN })).json();
  const jobs = [];
  for (const { id } of value) {
    const listed = await (await fetch(`${url}/servicePrincipals/${id}/synchronization/jobs`, { headers: TOKEN })).json();
    jobs.push(...listed.value.map((job) => ({ principal: id, job: job.id, code: job.status.code })));
  }
  return jobs;
}

/** Asks for all that there is, and for what is not there; Prism refuses what does not fit. */
async function walk(checks, url) {
  let requests = 0;
  const ask = async (wanted, path, method = "GET", body = undefined) => {
    requests += 1;
    const headers = { ...TOKEN, ...(body && { "Content-Type": "application/json" }) };
    const answer = await fetch(`${url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    const unfit = answer.headers.get("sl-violations") ?? (/problem\+json/.test(answer.headers.get("content-type")) ? text : null);
    checks.holds("the emulator's answers fit the description", answer.status === wanted && unfit === null, { method, path, status: answer.status, unfit, text: text.slice(0, 300) });
    return text ? JSON.parse(text) : null;
  };
  const { value: principals } = await ask(200, "/servicePrincipals?$top=50&$count=true");
  await ask(200, "/servicePrincipals?$filter=displayName%20eq%20%27Box%27&$select=id,appId,displayName");
  await ask(400, "/servicePrincipals?$filter=displayName%20eq");
  for (const { id, appId } of principals) {
    await ask(200, `/servicePrincipals/${id}`);
    await ask(200, `/servicePrincipals(appId='${appId}')`);
    const jobs = `/servicePrincipals/${id}/synchronization/jobs`;
    const { value } = await ask(200, jobs);
    for (const job of value) {
      const path = `${jobs}/${job.id}`;
      await ask(200, path);
      await ask(200, `${path}?$select=id,status`);
    }
    await ask(404, `${jobs}/none`);
    await ask(404, `${jobs}/none/start`, "POST");
  }
  await ask(404, "/servicePrincipals/00000000-0000-4000-8000-000000000000/synchronization/jobs");
  // On a job that starts leave alone: one that runs.
  const { principal, job } = (await everyJob(url)).find(({ code }) => code === "Active");
  const path = `/servicePrincipals/${principal}/synchronization/jobs/${job}`;
  await ask(204, `${path}/validateCredentials`, "POST", { useSavedCredentials: true });
  await ask(204, `${path}/pause`, "POST");
  await ask(200, path);
  await ask(204, `${path}/restart`, "POST", { criteria: { resetScope: "Watermark, Escrows, QuarantineState" } });
  await ask(204, `${path}/restart`, "POST", { criteria: {} });
  await ask(200, path);
  return requests;
}

async function guarded(program, recorder, checks, jobs) {
  const place = await Place.make(program, recorder.url);
  try {
    for (const { principal, job } of jobs) {
      for (const command of [["status"], ["start", "--dry-run"], ["start"], ["status"]]) {
        const run = await place.run(...command, `${principal}/${job}`);
        checks.holds("through the proxy startguard answers", lines(run)?.length === 1 && run.code !== 1, run);
      }
    }
    for (const name of ["Box", "appid:6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d02"]) {
      const run = await place.run("status", name);
      checks.holds("through the proxy names are found", run.code === 0 && lines(run)?.length === 1, run);
    }
    const unfit = recorder.exchanges.filter(({ status, type }) => status === 0 || type.startsWith("application/problem+json"));
    checks.holds("through the proxy everything fits the description", unfit.length === 0, unfit.slice(0, 3));
  } finally {
    await place.remove();
  }
}
