// `node main.mjs PROGRAM DESCRIPTION ROUNDS`, run by tests/conformance/mock.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { Checks } from "./checks.mjs";
import { FLAVOURS, prepare, read } from "./description.mjs";
import { proxied } from "./emulated.mjs";
import { Prism } from "./prism.mjs";
import { Recorder } from "./recorder.mjs";
import { refusals } from "./refusals.mjs";
import { Rounds } from "./rounds.mjs";

const [program, path, count] = process.argv.slice(2);
const rounds = Number(count);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`${count} is no number of rounds`);

const folder = await mkdtemp(join(tmpdir(), "startguard-conformance-"));
const checks = new Checks();
try {
  const description = await read(path);
  for (const [flavour, how] of Object.entries(FLAVOURS)) {
    const file = join(folder, `${flavour}.json`);
    await writeFile(file, JSON.stringify(prepare(description, how)));
    await answered(flavour, file);
  }
  await proxied(resolve(program), join(folder, "whole.json"), checks);
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = checks.close() ? 0 : 1;

/** startguard against the mock, in every kind of answer that it has. */
async function answered(flavour, file) {
  const [prism, recorder] = [await Prism.mock(file), await Recorder.start()];
  try {
    recorder.leadTo(prism.url);
    const run = new Rounds(resolve(program), recorder, checks);
    if (flavour === "whole") {
      // The one answer that the mock makes without dice.
      await run.round("static", () => undefined);
      await refusals(run, recorder, prism.url, checks);
    }
    for (let seed = 1; seed <= rounds; seed += 1) {
      await run.round(`${flavour}, seed ${seed}`, () => `dynamic=true, seed=${flavour}${seed}`);
    }
    // A world in which no two answers agree.
    for (let seed = 1; seed <= rounds / 5; seed += 1) {
      let request = 0;
      await run.round(`${flavour}, changing seed ${seed}`, () => `dynamic=true, seed=${flavour}${seed}-${(request += 1)}`);
    }
    const tally = Object.entries(run.tally).sort().map(([what, times]) => `${what} ${times}`);
    console.log(`${flavour}: ${run.requests} requests, ${run.starts} starts; ${tally.join(", ")}`);
  } finally {
    await recorder.stop();
    await prism.stop();
  }
}
