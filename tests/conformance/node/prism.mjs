// The mock server as a child process: Stoplight's Prism, which knows nothing of startguard.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(import.meta.resolve("@stoplight/prism-cli/dist/index.js"));

/** A running Prism. */
export class Prism {
  #child;

  constructor(child, url) {
    this.#child = child;
    this.url = url;
  }

  /** Answers from the description; refuses (422) what does not fit it. */
  static mock(file) {
    return Prism.#start(["mock", "--errors", "--port", "0", file]);
  }

  /** Passes on to `upstream`; refuses requests (422) and answers (500) that do not fit the description. */
  static proxy(file, upstream) {
    return Prism.#start(["proxy", "--errors", "--port", "0", file, upstream]);
  }

  static async #start(args) {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const said = [];
    child.stderr.on("data", (bytes) => said.push(bytes));
    const url = await new Promise((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`Prism ended with ${code}: ${said.join("").slice(0, 2000)}`)));
      createInterface(child.stdout).on("line", (line) => {
        said.push(`${line}\n`);
        const listening = /Prism is listening on (http:\S+)/.exec(line);
        if (listening) resolve(listening[1]);
      });
    });
    child.removeAllListeners("exit");
    return new Prism(child, url);
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill();
    await ended;
  }
}
