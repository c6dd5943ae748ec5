// Compares two results: another word order, a translation, another completion, another model's.

import { ask, job as look, jobs as fetchJobs, keepResults, newKey, resultsOf } from "./api.js";
import { rankLines } from "./charts.js";
import { announce, h, identifier, problem, replace } from "./dom.js";
import { clip, count, difference, plural, probability, score } from "./format.js";
import { join, keyOf, rankCorrelation } from "./joined.js";
import { joined } from "./question.js";
import { go, keepInAddress, link } from "./router.js";

const sides = ["left", "right"];
const names = { left: "First", right: "Second" };

export async function showCompare(main, { items }, signal) {
  const chosen = { left: items.get("left") ?? "", right: items.get("right") ?? "" };
  const body = h("div");
  const pickers = h("div", { class: "pickers" });
  replace(main,
    h("h1", {}, "Compare two results"),
    h("p", { class: "lead" }, "What do two questions have in common? A flipped word order, a paraphrase, a translation, another completion."),
    pickers, body);
  const known = await recent(signal);
  if (signal.aborted) return;
  replace(pickers, sides.map((side) => picker(side, known, chosen, choose)));
  await show();

  function choose(side, value) {
    chosen[side] = value;
    keepInAddress(chosen);
    show();
  }

  async function show() {
    if (!chosen.left || !chosen.right) {
      const missing = sides.find((side) => !chosen[side]);
      replace(body, h("p", { class: "empty" }, `Choose the ${names[missing].toLowerCase()} result, or `, h("a", { href: link(["ask"]) }, "ask another question"), "."));
      return;
    }
    try {
      const [left, right] = await Promise.all(sides.map((side) => resultNamed(chosen[side], signal)));
      if (!signal.aborted) replace(body, comparison(left, right, chosen));
    } catch (error) {
      if (!signal.aborted) replace(body, problem(error, show));
    }
  }
}

/** Results that can be chosen, by name: a job's id and the query's number. */
async function recent(signal) {
  const page = await fetchJobs({ status: "succeeded", limit: 20 }, signal);
  const full = await Promise.all(page.jobs.map((job) => look(job.id, signal).catch(() => null)));
  return full.filter(Boolean).flatMap((job) => [job.request].flat().map((query, index) => ({
    name: `${job.id}.${index}`, text: clip(`${query.prompt}${query.completion}`, 100),
  })));
}

function picker(side, known, chosen, choose) {
  const options = known.some(({ name }) => name === chosen[side]) || !chosen[side]
    ? known : [{ name: chosen[side], text: "the result in the address" }, ...known];
  const select = h("select", { id: identifier("pick"), onchange: (event) => choose(side, event.target.value) },
    h("option", { value: "" }, "choose a result"),
    options.map(({ name, text }) => h("option", { value: name, selected: name === chosen[side] }, text)));
  const file = h("input", { type: "file", accept: "application/json,.json", class: "hidden", tabindex: -1, "aria-hidden": "true",
    onchange: async () => {
      const name = await opened(file.files[0]).catch((error) => { announce(error.message); failed.textContent = error.message; return null; });
      if (!name) return;
      failed.textContent = "";
      select.append(h("option", { value: name, selected: true }, file.files[0].name));
      select.value = name;
      choose(side, name);
    } });
  const failed = h("p", { class: "warning" });
  return h("div", { class: "field" }, h("label", { for: select.id }, `${names[side]} result`), select,
    h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => file.click() },
      "Open a saved one", h("span", { class: "hidden" }, ` as the ${names[side].toLowerCase()} result`)), file), failed);
}

let filesOpened = 0;

/** Reads a saved result: that of another server's model, perhaps. It stays in this page. */
async function opened(file) {
  let entries;
  try {
    const body = JSON.parse(await file.text());
    entries = body.results ?? [body];
    if (!entries.every((entry) => Array.isArray(entry.sequences) && Array.isArray(entry.query?.tokens))) throw new Error();
  } catch {
    throw new Error(`${file.name} is not a result: expected JSON with "query" and "sequences", as "Save as JSON" writes it.`);
  }
  filesOpened += 1;
  keepResults(`file-${filesOpened}`, entries);
  return `file-${filesOpened}.0`;
}

async function resultNamed(name, signal) {
  const [, id, number] = /^(.*?)(?:\.(\d+))?$/.exec(name);
  if (id.startsWith("file-")) {
    return (await resultsOf(id, signal).catch(() => { throw new Error("A result from a file is gone when the page is loaded again: open it once more."); }))[Number(number ?? 0)];
  }
  const entry = (await resultsOf(id, signal))[Number(number ?? 0)];
  if (!entry || entry.error) throw new Error(entry?.error?.detail ?? "That job has no such question.");
  return entry;
}

function comparison(left, right, chosen) {
  const pairs = join(left.sequences, right.sequences);
  const shared = pairs.filter((pair) => pair.left && pair.right);
  const correlation = rankCorrelation(pairs);
  const isContrast = left.query.prompt === right.query.prompt && left.query.completion !== right.query.completion;
  const lines = shared.filter((pair) => pair.left.score > 0 && pair.right.score > 0)
    .map((pair) => ({ left: pair.left.rank, right: pair.right.rank, name: pair.title })).filter((pair) => Math.max(pair.left, pair.right) <= 40);
  const isPartial = pairs.length > shared.length;
  announce(`${plural(shared.length, "sequence")} in common`);
  return [
    h("div", { class: "questions" }, [left, right].map((result, index) => h("div", { class: "preview" },
      h("h2", {}, names[sides[index]]),
      joined(result.query.prompt, result.query.completion),
      h("p", { class: "hint" }, `${probability(result.query.log_probability)} likely, ${score(result.query.log_probability)} nats`)))),
    h("p", { class: "answer" },
      `${count(shared.length)} of the ${plural(pairs.length, "sequence")} shown are in both. `,
      correlation !== null && `Over these the two rankings ${alike(correlation)} (rank correlation ${correlation.toFixed(2).replace("-", "\u2212")}). `,
      isContrast && "As the prompt is the same, the difference is what a sequence does to the odds of the first completion against the second."),
    isPartial && h("div", { class: "actions" }, scoreBoth(left, right, pairs),
      h("p", { class: "hint" }, "A dash means that a sequence is not among those shown for that question, not that its score is zero.")),
    h("div", { class: "compared" },
      lines.length > 0 && h("figure", {}, h("figcaption", {}, "Ranks of what made it likelier"), rankLines(lines, Math.max(...lines.flatMap((line) => [line.left, line.right])))),
      table(pairs, chosen)),
  ];
}

function alike(correlation) {
  if (correlation > 0.8) return "agree";
  if (correlation > 0.4) return "agree in part";
  if (correlation > -0.4) return "have little to do with each other";
  return "are opposed";
}

function table(pairs, chosen) {
  const body = h("tbody");
  const more = h("div", { class: "actions" });
  let shown = 0;
  add(100);
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Joined sequences" },
    h("table", { class: "joint" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Sequence"), sides.map((side) => h("th", { scope: "col", class: "number" }, names[side])),
        h("th", { scope: "col", class: "number" }, "Difference"))), body), more);

  function add(number) {
    body.append(...pairs.slice(shown, shown + number).map(row));
    shown = Math.min(pairs.length, shown + number);
    replace(more, shown < pairs.length && h("button", { type: "button", onclick: () => add(500) }, `${count(Math.min(500, pairs.length - shown))} more`));
  }

  function row(pair) {
    return h("tr", {},
      h("th", { scope: "row" }, h("bdi", {}, clip(pair.title, 80)), (pair.left ?? pair.right).source && h("span", { class: "source" }, h("bdi", {}, (pair.left ?? pair.right).source))),
      sides.map((side) => cell(pair[side], chosen[side])),
      h("td", { class: "number" }, pair.difference === null ? "\u2013" : difference(pair.difference, Math.max(Math.abs(pair.left.score), Math.abs(pair.right.score)))));
  }
}

function cell(sequence, name) {
  if (!sequence) return h("td", { class: "number" }, "\u2013", h("span", { class: "hidden" }, "not shown"));
  const [, id, number] = /^(.*?)(?:\.(\d+))?$/.exec(name);
  const text = [score(sequence.score), h("span", { class: "hint" }, ` #${sequence.rank}`)];
  const address = link(["results", id], { query: Number(number) || null, open: keyOf(sequence) });
  return h("td", { class: `number ${sequence.score >= 0 ? "positive" : "negative"}` }, id.startsWith("file-") ? text : h("a", { href: address }, text));
}

/** Scores every sequence of both lists for both questions, so that nothing is unknown. */
function scoreBoth(left, right, pairs) {
  const button = h("button", { type: "button", onclick: async () => {
    button.disabled = true;
    const ids = pairs.map((pair) => pair.id);
    const query = ({ query: { prompt, completion } }) => ({
      prompt, completion, top_k: ids.length, direction: "both", candidates: { ids }, rescore: ids.length,
      attribution: { layers: true, tokens: true },
    });
    try {
      const job = await ask([query(left), query(right)], newKey());
      go(link(["jobs", job.id], { then: "compare" }));
    } catch (error) {
      button.disabled = false;
      button.after(h("p", { class: "warning", role: "alert" }, error.message));
    }
  } }, `Score all ${count(pairs.length)} for both`);
  return button;
}
