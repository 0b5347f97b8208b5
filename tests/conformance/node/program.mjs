// The real program, with an environment of its own, and the emulator that it serves.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

// Far beyond what a command takes, its repeated reads included; one that hangs is a failure.
const LONGEST = 120_000;

/** A folder with a ledger, in which commands run one after the other. */
export class Place {
  constructor(program, folder, endpoint) {
    Object.assign(this, { program, folder, endpoint });
  }

  static async make(program, endpoint) {
    return new Place(program, await mkdtemp(join(tmpdir(), "startguard-conformance-")), endpoint);
  }

  /** Runs a command: `{code, signal, out, err}`. */
  run(...args) {
    const all = [...args, "--graph-endpoint", this.endpoint, "--auth", "token", "--store", `sqlite:${this.folder}/ledger.db`];
    const env = { PATH: process.env.PATH, HOME: this.folder, STARTGUARD_TOKEN: "a-token" };
    return new Promise((resolve) => {
      execFile(this.program, [...all, "-o", "json"], { env, timeout: LONGEST, maxBuffer: 1 << 26 }, (error, out, err) => {
        resolve({ code: error ? error.code : 0, signal: error?.signal ?? null, out, err, args });
      });
    });
  }

  async remove() {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** `startguard emulator` with its default fleet. */
export class Emulator {
  #child;

  static async start(program) {
    const emulator = new Emulator();
    emulator.#child = spawn(program, ["emulator"], { stdio: ["ignore", "pipe", "ignore"] });
    emulator.url = await new Promise((resolve, reject) => {
      emulator.#child.once("exit", (code) => reject(new Error(`the emulator ended with ${code}`)));
      createInterface(emulator.#child.stdout).once("line", resolve);
    });
    emulator.#child.removeAllListeners("exit");
    return emulator;
  }

  async counts() {
    return (await fetch(`${this.url}/_emulator/counts`)).json();
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill();
    await ended;
  }
}
