// Microsoft's description of Graph, cut at run time to what startguard calls, and made fit for a mock server.
//
// Nothing of it is kept in this repository. What is changed, and why:
// - Paths that startguard does not call are left out, so that a description of all of Graph will do, too.
// - `/microsoft.graph.start` becomes `/start`: Graph takes both, and its reference pages show the short one.
// - The success is `2XX` throughout. Where it has no body, the reference pages say 204; otherwise 200.
// - Ids of entities are strings there. Of service principals and of some jobs they are GUIDs in truth.
// - What Graph sends only where a request says `$expand` is left out: the mock would send it always, by the megabyte.
// - A date has both a format and a pattern that allows the year 69857271902759, from which the mock's generator can make
//   no date. Either the one or the other is left out, by flavour.

import { readFile } from "node:fs/promises";
import yaml from "js-yaml";

const SERVICE_PRINCIPAL = "/servicePrincipals/{}";
const CALLED = new Map([
  ["/servicePrincipals", ["get"]],
  [SERVICE_PRINCIPAL, ["get"]],
  ["/servicePrincipals(appId='{}')", ["get"]],
  [`${SERVICE_PRINCIPAL}/synchronization/jobs`, ["get"]],
  [`${SERVICE_PRINCIPAL}/synchronization/jobs/{}`, ["get"]],
  ...["start", "pause", "restart", "validateCredentials"].map((action) => [
    `${SERVICE_PRINCIPAL}/synchronization/jobs/{}/${action}`,
    ["post"],
  ]),
]);

/** What the mock makes of the schemas; each is another kind of answer. */
export const FLAVOURS = {
  // Every member is there, and dates are dates of this calendar.
  whole: { leaveOut: "pattern" },
  // Every member is there, and dates are whatever the pattern allows, years of 14 digits among them.
  wild: { leaveOut: "format" },
  // A quarter of the members that may be missing is. (With probabilities that are not fixed, the generator may not end.)
  sparse: {
    leaveOut: "pattern",
    generator: { alwaysFakeOptionals: false, optionalsProbability: 0.75, fixedProbabilities: true, fillProperties: false },
  },
};

/** Reads the description, YAML or JSON. */
export async function read(path) {
  const description = yaml.load(await readFile(path, "utf8"));
  if (typeof description?.paths !== "object") throw new Error(`${path} is no OpenAPI description: it has no paths`);
  return description;
}

/** The description in one of the flavours. */
export function prepare(description, { leaveOut, generator }) {
  const { openapi, info, components } = structuredClone(description);
  const paths = {};
  for (const [written, item] of Object.entries(structuredClone(description.paths))) {
    const path = written.replace(/\/microsoft\.graph\.(\w+)$/, "/$1");
    const methods = CALLED.get(path.replaceAll(/\{[^}]*\}/g, "{}"));
    if (!methods) continue;
    const kept = methods.filter((method) => item[method]).map((method) => [method, succeeding(item[method])]);
    if (kept.length > 0) paths[path] = { ...(item.parameters && { parameters: item.parameters }), ...Object.fromEntries(kept) };
  }
  const missing = CALLED.size - Object.keys(paths).length;
  if (missing > 0) {
    const found = Object.keys(paths).map((path) => path.replaceAll(/\{[^}]*\}/g, "{}"));
    const wanted = [...CALLED.keys()].filter((path) => !found.includes(path));
    throw new Error(`the description has no ${wanted.join(", ")}`);
  }
  const entity = components.schemas["microsoft.graph.entity"];
  if (entity?.properties?.id) entity.properties.id.format = "uuid";
  for (const part of components.schemas["microsoft.graph.synchronizationJob"].allOf ?? []) {
    // Expanded, too, which the description does not say of them.
    delete part.properties?.schema;
    delete part.properties?.bulkUpload;
  }
  trim(leaveOut, components);
  return { openapi, info, paths, components, ...(generator && { "x-json-schema-faker": generator }) };
}

function succeeding(operation) {
  const { "2XX": success, ...others } = operation.responses;
  if (!success) return operation;
  const status = success.content || success.$ref ? "200" : "204";
  return { ...operation, security: [], responses: { [status]: success, ...others } };
}

function trim(leaveOut, node) {
  if (node === null || typeof node !== "object") return;
  if (node.format === "date-time" && node.pattern) delete node[leaveOut];
  for (const [name, property] of Object.entries(node.properties ?? {})) {
    if (property?.["x-ms-navigationProperty"]) delete node.properties[name];
  }
  for (const inner of Object.values(node)) trim(leaveOut, inner);
}
