// A behaviour: a question about many prompts at once. Its list in the form, and its parts in a result.

import { faultOf } from "./chat.js";
import { announce, field, h, identifier, replace } from "./dom.js";
import { count, percent, plural, probability, score } from "./format.js";
import { said } from "./question.js";

/** @typedef {{prompt?: string, completion?: string, messages?: object[], contrast?: string, weight?: number}} Part */

const members = ["prompt", "completion", "messages", "contrast", "weight"];

/**
 * The parts of a list: JSON, or a prompt, a tab and a completion, one part per line. Empty lines are skipped.
 *
 * @returns {{parts: Part[], lines: number[], faults: {line: number, reason: string}[]}} The line of each part, from 1, and the
 *   lines that are no parts.
 */
export function partsOf(list) {
  const [parts, lines, faults] = [[], [], []];
  list.split(/\r\n|\n|\r/).forEach((text, index) => {
    if (text.trim() === "") return;
    try {
      parts.push(text.trimStart().startsWith("{") ? fromJSON(text) : fromColumns(text));
      lines.push(index + 1);
    } catch (error) {
      faults.push({ line: index + 1, reason: error.message });
    }
  });
  return { parts, lines, faults };
}

function fromJSON(text) {
  let part;
  try {
    part = JSON.parse(text);
  } catch (error) {
    throw new Error(`this is not JSON (${error.message})`);
  }
  const unknown = Object.keys(part).find((name) => !members.includes(name));
  if (unknown) throw new Error(`“${unknown}” is unknown; the members are ${members.join(", ")}`);
  const { messages = null, contrast = null, weight = null } = part;
  if (messages !== null) {
    const isChat = Array.isArray(messages) && messages.length > 0 && messages.every((message) => typeof message?.role === "string");
    const fault = isChat ? faultOf(messages) : "“messages” must be a list of objects with “role” and “content”";
    if (fault) throw new Error(fault);
  } else {
    const name = ["prompt", "completion"].find((name) => typeof part[name] !== "string" || part[name] === "");
    if (name) throw new Error(`“${name}” must be a text`);
  }
  if (contrast !== null && typeof contrast !== "string") throw new Error("“contrast” must be a text");
  if (weight !== null && !(weight > 0)) throw new Error("“weight” must be a number above 0");
  return part;
}

function fromColumns(text) {
  const columns = text.split("\t");
  if (columns.length !== 2) {
    throw new Error(columns.length === 1 ? "there is no tab between a prompt and a completion"
      : `there are ${columns.length - 1} tabs: expected a prompt, one tab and a completion`);
  }
  const [prompt, completion] = columns;
  if (!prompt || !completion) throw new Error(`the ${prompt ? "completion" : "prompt"} is empty`);
  return { prompt, completion };
}

/** A behaviour's parts as such a list. @param {Part[]} parts */
export function listOf(parts) {
  return parts.map(({ prompt, completion, messages, contrast, weight = 1 }) => JSON.stringify({
    ...(messages ? { messages } : { prompt, completion }), ...(contrast ? { contrast } : {}),
    ...(weight === 1 ? {} : { weight }),
  })).join("\n");
}

/** The largest file that is read into the form. */
const largestFile = 16e6;
const faultsShown = 5;

/**
 * The fields for a behaviour.
 *
 * @param {{list: string, combine: string}} draft
 * @param {() => void} changed Called when the draft has changed.
 * @returns {{element: HTMLElement, complain: (fault: {line: number, reason: string}) => void}} `complain` shows what is wrong
 *   with a line, and goes there.
 */
export function behaviourFields(draft, changed) {
  const area = h("textarea", {
    name: "list", rows: 8, dir: "auto", spellcheck: "false", wrap: "off", value: draft.list, oninput: typed,
  });
  const faults = h("div", { class: "faults", id: identifier("faults") });
  const file = h("input", {
    type: "file", accept: ".jsonl,.ndjson,.json,.tsv,.txt", class: "hidden", tabindex: -1, "aria-hidden": "true",
    onchange: open,
  });
  const combine = h("select", { name: "combine", onchange: () => { draft.combine = combine.value; changed(); } },
    [["mean", "the mean of their log-probabilities"], ["sum", "their sum: all completions together"]]
      .map(([value, text]) => h("option", { value, selected: value === draft.combine }, text)));
  const list = field("Prompts and completions", area,
    "One pair per line: a prompt, a tab and a completion; or JSON with “prompt” and “completion”, or “messages”, "
    + "and optionally “contrast” and “weight”. Completions normally begin with a space.");
  area.setAttribute("aria-describedby", `${area.getAttribute("aria-describedby")} ${faults.id}`);
  list.append(h("div", { class: "actions" },
    h("button", { type: "button", onclick: () => file.click() }, "Open a file"), file), faults);
  check();
  return {
    element: h("div", { class: "kind" }, list, field("Explain", combine)),
    complain(fault) {
      const { faults: found } = partsOf(draft.list);
      show(found.some(({ line }) => line === fault.line) ? found : [...found, fault]);
      announce(`Line ${fault.line}: ${fault.reason}`);
      goTo(fault.line);
    },
  };

  function typed() {
    draft.list = area.value;
    check();
    changed();
  }

  async function open() {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) return;
    if (chosen.size > largestFile) {
      return replace(faults, h("p", { class: "warning", role: "alert" },
        `${chosen.name} has ${count(chosen.size)} bytes. A list has at most ${count(largestFile)}.`));
    }
    area.value = await chosen.text();
    typed();
    announce(`${chosen.name} has ${plural(partsOf(draft.list).parts.length, "prompt")}`);
  }

  function check() {
    show(partsOf(draft.list).faults);
  }

  function show(found) {
    if (found.length > 0) area.setAttribute("aria-invalid", "true");
    else area.removeAttribute("aria-invalid");
    replace(faults,
      found.length > 0 && h("ul", { class: "warning", "aria-live": "polite" },
        found.slice(0, faultsShown).map(({ line, reason }) => h("li", {},
          h("button", { type: "button", class: "link", onclick: () => goTo(line) }, `Line ${count(line)}`), ": ", reason))),
      found.length > faultsShown && h("p", { class: "warning" }, `and ${plural(found.length - faultsShown, "other line")}`));
  }

  /** Selects a line. */
  function goTo(line) {
    const lines = area.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
    area.scrollTop = area.scrollHeight * (line - 1) / lines.length - area.clientHeight / 2;
  }
}

const rowsShown = 10;

/** A result's behaviour: what is explained, and each part's worth, the largest first. */
export function behaviour({ parts, combine, measurement, log_probability: whole }) {
  const hasContrast = parts.some((part) => part.contrast);
  const hasWeights = parts.some((part) => part.weight !== parts[0].weight);
  const isSum = combine === "sum";
  const sorted = [...parts].sort((one, other) => (other.share ?? 0) - (one.share ?? 0));
  const largest = Math.max(...parts.map((part) => Math.abs(part.share ?? 0)), 1e-9);
  const body = h("tbody", {}, sorted.slice(0, rowsShown).map(row));
  const more = h("button", { type: "button", class: "link", onclick: all }, `Show all ${count(parts.length)}`);
  return h("div", { class: "behaviour" },
    h("p", { class: "joined" }, `A behaviour that shows in ${plural(parts.length, "prompt")}`),
    h("p", { class: "hint" }, `Explained is the ${isSum ? "sum" : "mean"} of the completions’ log-probabilities`,
      hasContrast && ", each less that of its other completion", hasWeights && ", by weight", ": ",
      h("strong", {}, `${score(measurement ?? whole)} nats`),
      !isSum && !hasContrast && ` (${probability(measurement ?? whole)} each, on geometric average)`, "."),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Parts of the behaviour" },
      h("table", { class: "worth" },
        h("caption", {}, "What each prompt is worth to the ranking"),
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, "Prompt and completion"), hasWeights && number("weight"), number("nats"),
          number("share"))),
        body)),
    sorted.length > rowsShown && h("p", {}, more),
    h("p", { class: "hint" }, "A share says how much of the behaviour’s own gradient, weighed by the inverse curvature, "
      + "comes from the prompt. Shares add up to 100\u202f%; a negative one pulls against the others."));

  function number(text) {
    return h("th", { scope: "col", class: "number" }, text);
  }

  function row({ prompt, completion, contrast, weight, log_probability: nats, contrast_log_probability: other, share }) {
    return h("tr", {},
      h("th", { scope: "row", dir: "auto" }, h("span", { class: "pair" }, prompt, said(completion)),
        contrast && h("span", { class: "hint" }, "rather than ", h("bdi", {}, contrast.trim() || "\u2420"))),
      hasWeights && h("td", { class: "number" }, String(weight)),
      h("td", { class: "number" }, score(nats),
        (other ?? null) !== null && h("span", { class: "hint" }, ` less ${score(other)}`)),
      h("td", { class: "number" }, (share ?? null) === null ? "–" : [
        share < 0 && "−", percent(Math.abs(share)),
        h("span", {
          class: share < 0 ? "meter negative" : "meter", "aria-hidden": "true",
          style: { "--share": Math.abs(share) / largest },
        })]));
  }

  function all() {
    body.append(...sorted.slice(rowsShown).map(row));
    more.parentElement.remove();
    announce(`All ${count(parts.length)} prompts are shown`);
  }
}
