// The forms of a question: in the form's fields, in the address, as a request to the API, and as commands to copy.

import { listOf, partsOf } from "./behaviour.js";
import { messagesOf } from "./chat.js";
import { spansFrom, spansText } from "./spans.js";

/**
 * @typedef {object} Draft
 * @property {string} kind  Empty for a prompt and a completion, "behaviour", or "chat".
 * @property {string} list  A behaviour's parts, as {@link partsOf} reads them.
 * @property {string} combine  mean or sum, of a behaviour.
 * @property {string} chat  A chat's messages, as JSON.
 * @property {string} prompt
 * @property {string} completion
 * @property {string} spans  The parts of the completion to explain, as {@link spansText} writes them; empty for all.
 * @property {string} contrast  Another completion to compare the first with; empty for none.
 * @property {string} direction  positive, negative or both.
 * @property {string} prefilter  tfidf, index, both or all.
 * @property {string} limit
 * @property {string} source
 * @property {string} top  How many sequences to show in each direction.
 * @property {string} rank
 * @property {string} rescore
 * @property {string} damping
 * @property {string} estimator  ekfac, astra or identity.
 * @property {string} probe  How many other sequences to score as well, drawn at random; empty for none.
 * @property {string} drop  yes or no: whether the first turns of a chat that is too long are left out.
 * @property {string} outputs  yes or no: whether to report which tokens of a sequence become likelier.
 */

/** @type {Draft} */
const defaults = {
  kind: "", list: "", combine: "mean", chat: "", prompt: "", completion: "", spans: "", contrast: "", direction: "both", prefilter: "tfidf", limit: "1000", source: "",
  top: "20", rank: "32", rescore: "100", damping: "", estimator: "ekfac", probe: "", drop: "no", outputs: "yes",
};

/** A behaviour's gradient needs a rank that its prompts decide. */
export const defaultRank = (kind) => (kind === "behaviour" ? "auto" : defaults.rank);

/** A longer list is not in the address. */
const longestInAddress = 100_000;
/** The last list that was too long for the address. */
let longList = "";

/** @returns {Draft} */
export function draftFrom(items) {
  const kind = items.get("kind") ?? "";
  const fallbacks = { ...defaults, rank: defaultRank(kind), list: kind === "behaviour" ? longList : "" };
  return Object.fromEntries(Object.entries(fallbacks).map(([name, value]) => [name, items.get(name) ?? value]));
}

/** The items that differ from the defaults, for addresses. */
export function itemsOf(draft) {
  const own = { ...defaults, rank: defaultRank(draft.kind) };
  longList = draft.list.length > longestInAddress ? draft.list : "";
  if (longList) own.list = longList;
  return Object.fromEntries(Object.keys(own).map((name) => [name, draft[name] === own[name] ? null : draft[name]]));
}

/** The draft that would ask the same again. */
export function draftOf(query) {
  const kind = query.measurement ? "behaviour" : query.messages ? "chat" : "";
  return {
    kind, list: listOf(query.measurement ?? []), combine: query.combine ?? "mean",
    chat: query.messages ? JSON.stringify(query.messages) : "",
    prompt: query.prompt ?? "", completion: query.completion ?? "",
    spans: kind === "" ? spansText(query.spans ?? []) : "",
    contrast: query.contrast ?? "", direction: query.direction,
    prefilter: query.candidates.prefilter, limit: String(query.candidates.limit), source: query.candidates.source ?? "",
    top: String(query.top_k), rank: String(query.rank), rescore: String(query.rescore),
    damping: String(query.damping ?? ""), estimator: query.estimator ?? "ekfac",
    probe: String(query.candidates.probe ?? ""),
    drop: query.drop_turns ? "yes" : "no",
    outputs: query.attribution?.output_tokens === false ? "no" : "yes",
  };
}

/** What a result explains, in the form of a request. */
export function asAsked({ prompt, completion, spans, contrast, parts, combine }, asked = {}) {
  const { messages, measurement } = asked;
  const drop = asked.drop_turns ? { drop_turns: true } : {};
  // The texts that a chat template wrote are no prompts: the special tokens would be put around them again.
  if (parts && measurement?.some((part) => part.messages)) return { measurement, combine, ...drop };
  if (parts) {
    return {
      measurement: parts.map(({ prompt, completion, weight, contrast }) =>
        ({ prompt, completion, weight, ...(contrast ? { contrast } : {}) })),
      combine,
    };
  }
  const other = messages ? asked.contrast : contrast?.completion;
  const rest = { ...(spans ? { spans } : {}), ...(other ? { contrast: other } : {}) };
  return messages ? { messages, ...drop, ...rest } : { prompt, completion, ...rest };
}

/** The API's request. */
export function requestOf(draft) {
  return {
    ...asked(draft),
    top_k: number(draft.top),
    direction: draft.direction,
    candidates: { prefilter: draft.prefilter, limit: number(draft.limit),
      ...(draft.source ? { source: draft.source } : {}),
      ...(draft.probe.trim() ? { probe: number(draft.probe) } : {}) },
    rank: number(draft.rank),
    rescore: number(draft.rescore),
    ...(draft.damping.trim() ? { damping: number(draft.damping) } : {}),
    ...(draft.estimator === "ekfac" ? {} : { estimator: draft.estimator }),
    attribution: { layers: true, tokens: true, ...(draft.outputs === "yes" ? { output_tokens: true } : {}) },
  };
}

/** What a request asks about. */
function asked(draft) {
  const drop = draft.drop === "yes" ? { drop_turns: true } : {};
  if (draft.kind === "behaviour") return { measurement: partsOf(draft.list).parts, combine: draft.combine, ...drop };
  const contrast = draft.contrast ? { contrast: draft.contrast } : {};
  if (draft.kind === "chat") return { messages: messagesOf(draft.chat), ...contrast, ...drop };
  const spans = spansFrom(draft.spans);
  return {
    prompt: draft.prompt,
    completion: draft.completion,
    ...(spans.length > 0 ? { spans } : {}),
    ...contrast,
  };
}

// Anything that is not a number is sent unchanged; the server's error then names the field.
function number(text) {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : text.trim();
}

/** The request as a command for a shell. */
export function curl(request, origin, needsToken) {
  const body = JSON.stringify(request, null, 2).replaceAll("'", "'\\''");
  return [
    `curl -s ${origin}/v1/influence`,
    ...(needsToken ? ["  -H \"Authorization: Bearer $TRIBUTARY_TOKEN\""] : []),
    "  -H 'Prefer: wait=300'",
    `  --json '${body}'`,
  ].join(" \\\n");
}

/** The request in Python, with the standard library alone. */
export function python(request, origin, needsToken) {
  const headers = [
    "\"Content-Type\": \"application/json\"", "\"Prefer\": \"wait=300\"",
    ...(needsToken ? ["\"Authorization\": f\"Bearer {os.environ['TRIBUTARY_TOKEN']}\""] : []),
  ];
  return `import json${needsToken ? ", os" : ""}
from urllib.request import Request, urlopen

query = ${pythonLiteral(request)}
request = Request(
    "${origin}/v1/influence", data=json.dumps(query).encode(),
    headers={${headers.join(", ")}})
with urlopen(request) as response:
    result = json.load(response)
for sequence in result["sequences"]:
    print(f'{sequence["score"]:+10.1f}  {sequence["id"]}')
`;
}

function pythonLiteral(value, indent = "") {
  const inner = `${indent}    `;
  const words = new Map([[true, "True"], [false, "False"], [null, "None"]]);
  if (words.has(value)) return words.get(value);
  if (Array.isArray(value)) return `[\n${value.map((item) => inner + pythonLiteral(item, inner)).join(",\n")}]`;
  if (typeof value === "object") {
    const members = Object.entries(value).map(([name, item]) =>
      `${JSON.stringify(name)}: ${pythonLiteral(item, inner)}`);
    return indent === "" ? `{\n${members.map((member) => inner + member).join(",\n")}}` : `{${members.join(", ")}}`;
  }
  return JSON.stringify(value);
}
