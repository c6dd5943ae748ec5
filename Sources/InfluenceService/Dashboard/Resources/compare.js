// Compares two results, such as those of another word order, a translation, another completion or another model.

import { ask, newKey } from "./api.js";
import { rankLines } from "./charts.js";
import { announce, h, problem, replace } from "./dom.js";
import { clip, count, difference, plural, probability, score } from "./format.js";
import { join, rankCorrelation } from "./joined.js";
import { ownTexts } from "./own.js";
import { parts, picker, recentResults, resultNamed } from "./picker.js";
import { questionText } from "./question.js";
import { asAsked } from "./query.js";
import { go, keepInAddress, link } from "./router.js";
import { keyOf } from "./sequence.js";

const sides = ["left", "right"];
const names = { left: "First", right: "Second" };

export async function showCompare(main, { items }, signal) {
  const chosen = { left: items.get("left") ?? "", right: items.get("right") ?? "" };
  const body = h("div");
  const own = h("div");
  const pickers = h("div", { class: "pickers" });
  replace(main,
    h("h1", {}, "Compare two results"),
    h("p", { class: "lead" },
      "What do two questions have in common? Try another word order, a paraphrase, a translation or another ",
      "completion."),
    pickers, body, own);
  const known = await recentResults(signal);
  if (signal.aborted) return;
  replace(pickers, sides.map((side) => picker(`${names[side]} result`, known, chosen[side], (name) => {
    chosen[side] = name;
    keepInAddress(chosen);
    show();
  })));
  await show();
  if (items.get("own")) own.querySelector("textarea")?.focus();

  async function show() {
    const missing = sides.find((side) => !chosen[side]);
    if (missing) {
      replace(body, h("p", { class: "empty" }, `Choose the ${names[missing].toLowerCase()} result, or `,
        h("a", { href: link(["ask"]) }, "ask another question"), "."));
    }
    try {
      const there = sides.filter((side) => chosen[side]);
      const results = await Promise.all(there.map((side) => resultNamed(chosen[side], signal)));
      if (signal.aborted) return;
      if (!missing) replace(body, comparison(...results, chosen));
      replace(own, there.length > 0
        && ownTexts(results.map((result, index) => ({ name: names[there[index]], result })), signal));
    } catch (error) {
      if (!signal.aborted) replace(body, problem(error, show));
    }
  }
}

function comparison(left, right, chosen) {
  const pairs = join(left.sequences, right.sequences);
  const shared = pairs.filter((pair) => pair.left && pair.right);
  announce(`${plural(shared.length, "sequence")} in both results`);
  return [
    h("div", { class: "questions" }, [left, right].map((result, index) => h("div", { class: "preview" },
      h("h2", {}, names[sides[index]]),
      questionText(result.query),
      h("p", { class: "hint" },
        result.query.parts ? `together ${score(result.query.measurement)} nats`
          : `${probability(result.query.log_probability)} likely, ${score(result.query.log_probability)} nats`,
        result.query.contrast && `; contrast ${probability(result.query.contrast.log_probability)}: a difference of `
          + `${score(result.query.measurement)} nats`)))),
    inWords(left, right, pairs, shared),
    shared.length < pairs.length && h("div", { class: "actions" },
      scoreBoth(left, right, pairs),
      h("p", { class: "hint" },
        "A dash means that the sequence is not shown for that question, not that its score is zero.")),
    h("div", { class: "compared" }, ranks(shared), table(pairs, chosen)),
  ];
}

function inWords(left, right, pairs, shared) {
  const correlation = rankCorrelation(pairs);
  const isContrast = left.query.prompt === right.query.prompt && left.query.completion !== right.query.completion
    && ![left, right].some(({ query }) => query.contrast || query.spans);
  return h("p", { class: "answer" },
    `${count(shared.length)} of the ${plural(pairs.length, "sequence")} shown are in both. `,
    correlation !== null && `On these, the two rankings ${alike(correlation)} `
      + `(rank correlation ${correlation.toFixed(2).replace("-", "−")}). `,
    isContrast && "Because the prompt is the same, the difference is a sequence's effect on the odds of the first "
      + "completion against the second.");
}

function alike(correlation) {
  if (correlation > 0.8) return "agree";
  if (correlation > 0.4) return "partly agree";
  if (correlation > -0.4) return "have little to do with each other";
  return "are opposite";
}

/** How the ranks of the leading proponents differ between the two rankings. */
function ranks(shared) {
  const lines = shared
    .filter((pair) => pair.left.score > 0 && pair.right.score > 0)
    .map((pair) => ({ left: pair.left.rank, right: pair.right.rank, name: pair.title }))
    .filter((line) => Math.max(line.left, line.right) <= 40);
  if (lines.length === 0) return null;
  const last = Math.max(...lines.flatMap((line) => [line.left, line.right]));
  return h("figure", {}, h("figcaption", {}, "Ranks of what made it likelier"), rankLines(lines, last));
}

function table(pairs, chosen) {
  const body = h("tbody");
  const more = h("div", { class: "actions" });
  let shown = 0;
  add(100);
  const titles = [...sides.map((side) => names[side]), "Difference"];
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Joined sequences" },
    h("table", { class: "joint" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Sequence"),
        titles.map((title) => h("th", { scope: "col", class: "number" }, title)))),
      body),
    more);

  function add(number) {
    body.append(...pairs.slice(shown, shown + number).map((pair) => row(pair, chosen)));
    shown = Math.min(pairs.length, shown + number);
    const rest = Math.min(500, pairs.length - shown);
    replace(more, rest > 0 && h("button", { type: "button", onclick: () => add(500) }, `${count(rest)} more`));
  }
}

function row(pair, chosen) {
  const { source } = pair.left ?? pair.right;
  const size = Math.max(Math.abs(pair.left?.score ?? 0), Math.abs(pair.right?.score ?? 0));
  return h("tr", {},
    h("th", { scope: "row" },
      h("bdi", {}, clip(pair.title, 80)), source && h("span", { class: "source" }, h("bdi", {}, source))),
    sides.map((side) => cell(pair[side], chosen[side])),
    h("td", { class: "number" }, pair.difference === null ? "–" : difference(pair.difference, size)));
}

function cell(sequence, name) {
  if (!sequence) return h("td", { class: "number" }, "–", h("span", { class: "hidden" }, "not shown"));
  const { id, number, isFile } = parts(name);
  const text = [score(sequence.score), h("span", { class: "hint" }, ` #${sequence.rank}`)];
  const address = link(["results", id], { query: number || null, open: keyOf(sequence) });
  return h("td", { class: `number ${sequence.score >= 0 ? "positive" : "negative"}` },
    isFile ? text : h("a", { href: address }, text));
}

/** Scores every sequence of both lists for both questions, so that no score is missing. */
function scoreBoth(left, right, pairs) {
  const ids = pairs.map((pair) => pair.id);
  const query = (result) => ({
    ...asAsked(result.query), top_k: ids.length, direction: "both", candidates: { ids }, rescore: ids.length,
    attribution: { layers: true, tokens: true },
  });
  const button = h("button", { type: "button", onclick: send }, `Score all ${count(pairs.length)} for both`);
  return button;

  async function send() {
    button.disabled = true;
    try {
      const job = await ask([query(left), query(right)], newKey());
      go(link(["jobs", job.id], { then: "compare" }));
    } catch (error) {
      button.disabled = false;
      button.after(h("p", { class: "warning", role: "alert" }, error.message));
    }
  }
}
