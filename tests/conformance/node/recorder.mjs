// Stands between startguard and the mock: writes every exchange down, and asks the mock for the kind of answer that a round wants.
//
// Bodies and statuses pass through as they are. Two things are added or taken off: `/v1.0`, which the mock takes for a part of
// the server's address, and `Prefer`, by which the mock is told of seeds and statuses; Graph knows no such wishes.

import { createServer, request } from "node:http";

const VERSION = "/v1.0";

export class Recorder {
  /** `{method, path, status, type, body}`, oldest first. */
  exchanges = [];
  /** The value of `Prefer` for a request; none where it gives none. */
  prefer = () => undefined;
  #server;
  #target;

  static async start() {
    const recorder = new Recorder();
    recorder.#server = createServer((incoming, outgoing) => recorder.#pass(incoming, outgoing));
    await new Promise((resolve) => recorder.#server.listen(0, "127.0.0.1", resolve));
    recorder.url = `http://127.0.0.1:${recorder.#server.address().port}`;
    return recorder;
  }

  /** Sends everything here from now on. */
  leadTo(url) {
    this.#target = new URL(url);
  }

  /** What was exchanged since the last call. */
  take() {
    return this.exchanges.splice(0);
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(incoming, outgoing) {
    const { method, url } = incoming;
    const headers = { ...incoming.headers };
    delete headers.host;
    const wish = this.prefer(method, url);
    if (wish) headers.prefer = wish;
    const path = url.startsWith(`${VERSION}/`) ? url.slice(VERSION.length) : url;
    const { hostname, port } = this.#target;
    const onward = request({ hostname, port, method, path, headers }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => {
        const body = Buffer.concat(pieces);
        const type = answer.headers["content-type"] ?? "";
        this.exchanges.push({ method, path: url, status: answer.statusCode, type, body: body.toString("utf8") });
        outgoing.writeHead(answer.statusCode, answer.rawHeaders);
        outgoing.end(body);
      });
    });
    onward.on("error", (error) => {
      this.exchanges.push({ method, path: url, status: 0, type: "", body: String(error) });
      outgoing.destroy();
    });
    incoming.pipe(onward);
  }
}
