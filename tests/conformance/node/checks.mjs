// Facts that hold or do not, counted. A failure says what was found; of many of one kind, the first three do.

export class Checks {
  passed = 0;
  failed = 0;
  #shown = new Map();

  /** Counts one fact; `found` is shown where it does not hold. */
  holds(fact, condition, found) {
    if (condition) {
      this.passed += 1;
      return;
    }
    this.failed += 1;
    const before = this.#shown.get(fact) ?? 0;
    this.#shown.set(fact, before + 1);
    if (before < 3) console.log(`FAILED  ${fact}: ${typeof found === "string" ? found : JSON.stringify(found)}`);
  }

  /** The closing line; whether all is well. */
  close() {
    for (const [fact, times] of this.#shown) if (times > 3) console.log(`FAILED  ${fact}: ${times} times in all`);
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0;
  }
}
