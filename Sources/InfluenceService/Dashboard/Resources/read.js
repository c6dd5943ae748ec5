// Shows a result: the question, the answer in a sentence, and the ranking.

import { ask, job as look, newKey, resultsOf } from "./api.js";
import { behaviour } from "./behaviour.js";
import { announce, h, problem, replace } from "./dom.js";
import { effect, explained, sentence } from "./effect.js";
import { howToRead, whatWasLookedAt } from "./explain.js";
import { figures } from "./figures.js";
import { clip, count, plural, probability, ratio, score, seconds, visible } from "./format.js";
import { learned, legend, likelier } from "./heat.js";
import { lossLegend } from "./loss.js";
import { draftOf, itemsOf, requestOf } from "./query.js";
import { joined, labelOf, labelText, questionText } from "./question.js";
import { mentions, ranking } from "./ranking.js";
import { go, keepInAddress, link } from "./router.js";
import { titleOf } from "./sequence.js";

export async function showRead(main, { path, items }, signal) {
  const id = path[1];
  replace(main, h("p", { class: "hint" }, "Fetching the result…"));
  let entries;
  try {
    entries = await resultsOf(id, signal);
  } catch (error) {
    if (error.type?.endsWith("/job-not-finished")) return location.replace(link(["jobs", id]));
    throw error;
  }
  // The original question belongs to the job; a result from a file has no job.
  const asked = [(await look(id, signal).catch(() => null))?.request ?? []].flat();
  if (signal.aborted) return;
  const number = Math.min(Math.max(Number(items.get("query")) || 0, 0), entries.length - 1);
  const result = { ...entries[number], asked: asked[number] };
  const choice = entries.length > 1 && chooser(id, entries, number);
  if (result.error) {
    replace(main, h("h1", {}, "This question was not answered"), choice,
      h("div", { class: "preview" }, result.asked ? questionText(result.asked)
        : joined(result.query.prompt, result.query.completion)),
      problem({ title: result.error.title, message: result.error.detail }));
    return;
  }
  document.title = `${clip(labelOf(result.query).completion.trim(), 40)} · Tributary`;
  replace(main,
    h("h1", { class: "hidden" }, "Result"), choice, question(result.query), answer(result),
    result.warnings?.map((warning) => h("p", { class: "hint warning" }, `Warning: ${warning}.`)),
    actions(id, number, entries, result),
    h("div", { class: "result" }, howTo(result), lists(result, id, number, items)));
  announce(`${plural(result.sequences.length, "sequence")} found`);
}

/** Goes to another query of the job. */
function chooser(id, entries, number) {
  const choose = (event) => go(link(["results", id], { query: event.target.value }));
  const select = h("select", { "aria-label": "Question", onchange: choose },
    entries.map(({ query }, index) => h("option", { value: index, selected: index === number },
      `${index + 1}. ${clip(labelText(query), 90)}`)));
  return h("div", { class: "chooser" }, select, entries.length === 2 && h("a", {
    class: "button", href: link(["compare"], { left: `${id}.0`, right: `${id}.1` }),
  }, "Compare the two"));
}

/** The question, with the probability of each completion token. */
function question(query) {
  if (query.parts) return h("div", { class: "preview large" }, behaviour(query));
  const { contrast } = query;
  return h("div", { class: "preview large" },
    questionText(query),
    h("p", { class: "hint" }, `The model gives this completion a probability of ${probability(query.log_probability)} `,
      `(${score(query.log_probability)} nats)`, tokenProbabilities(query), ".",
      query.completion_starts_inside_token
        && " The completion begins inside a token. The influence on this whole token is counted."),
    query.spans && h("p", { class: "hint" }, "Only the marked part is explained: the tokens ",
      query.tokens.filter((token) => token.measured).map((token, index) => [
        index > 0 && ", ", h("bdi", { class: "token" }, visible(token.text))]),
      !contrast && `, together ${score(query.measurement)} nats`, "."),
    contrast && h("p", { class: "hint" },
      `It gives the other completion a probability of ${probability(contrast.log_probability)} `,
      `(${score(contrast.log_probability)} nats)`, tokenProbabilities(contrast), ". The difference is explained, ",
      h("strong", {}, `${score(query.measurement)} nats`), `: ${odds(query)}.`));
}

function tokenProbabilities({ tokens, completion_start: start }) {
  const said = tokens.slice(start);
  return said.length > 1 && said.length <= 40 && [
    ": ", said.map((token, index) => [index > 0 && ", ",
      h("bdi", { class: "token" }, visible(token.text)), ` ${probability(token.log_probability)}`])];
}

/** The meaning of a difference of log-probabilities. */
function odds({ measurement, spans }) {
  const what = spans ? "the marked part of the first" : "the first";
  return measurement >= 0 ? `${what} is ${ratio(measurement)} as the other`
    : `the other is ${ratio(measurement)} as ${what}`;
}

/** The answer in a sentence or two: what pushed hardest comes first, for or against. */
function answer(result) {
  const { sequences } = result;
  const what = explained(result);
  const strongest = [1, -1]
    .map((sign) => sequences.find((sequence) => Math.sign(sequence.score) === sign))
    .filter(Boolean)
    .sort((one, other) => Math.abs(other.score) - Math.abs(one.score));
  if (strongest.length === 0) return h("p", { class: "answer" }, "None of the scored sequences had any influence.");
  const silent = strongest.find((sequence) => effect(sequence.nats_per_copy, what) === null);
  return [h("p", { class: "answer" }, strongest.map((sequence, index) => pushed(sequence, index, what))),
    silent && h("p", { class: "hint" }, sentence(silent.nats_per_copy, what))];
}

/** What the strongest sequence of one direction did, in a sentence. */
function pushed(sequence, index, what) {
  const name = [h("strong", {}, h("bdi", {}, clip(titleOf(sequence), 80))),
    sequence.source && [" (", h("bdi", {}, sequence.source), ")"]];
  const isFor = sequence.score > 0;
  const did = what.isOdds ? (isFor ? "favoured it rather than the other" : "favoured the other")
    : isFor ? "made it likelier" : "made it less likely";
  const words = effect(sequence.nats_per_copy, what);
  return [
    index === 0 ? ["Most of all, ", name, ` ${did}`] : [" The strongest influence the other way is ", name],
    words && [": one more copy in training would make ", index === 0 ? what.name : what.isOdds ? "them" : "it", " ",
      h("span", { class: isFor ? "positive" : "negative" }, words)],
    "."];
}

function actions(id, number, entries, result) {
  const file = () => {
    const text = JSON.stringify(entries.length > 1 ? { results: entries } : entries[0]);
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    h("a", { href: url, download: `${id}.json` }).click();
    URL.revokeObjectURL(url);
  };
  return h("div", { class: "actions" },
    result.asked && h("a", { class: "button", href: link(["ask"], itemsOf(draftOf(result.asked))) },
      result.candidates.selection === "texts" ? "Ask about the corpus" : "Change and ask again"),
    h("a", { class: "button", href: link(["compare"], { left: `${id}.${number}` }) }, "Compare with…"),
    h("a", { class: "button", href: link(["compare"], { left: `${id}.${number}`, own: 1 }) },
      "Score your own text"),
    result.query.contrast && result.asked && apart(result),
    h("button", { type: "button", class: "quiet", onclick: file }, "Save as JSON"));
}

/** Asks about each of the two completions separately, and compares the results. */
function apart({ asked, query }) {
  const button = h("button", { type: "button", onclick: send }, "Ask for each separately");
  return button;

  async function send() {
    button.disabled = true;
    try {
      const own = requestOf({ ...draftOf(asked), contrast: "" });
      const { spans, ...other } = own;
      const job = await ask([own, { ...other, completion: query.contrast.completion }], newKey());
      go(link(["jobs", job.id], { then: "compare" }));
    } catch (error) {
      button.disabled = false;
      button.after(h("p", { class: "warning", role: "alert" }, error.message));
    }
  }
}

function howTo(result) {
  const { timings, candidates } = result;
  const wide = matchMedia("(min-width: 75rem)");
  const shape = h("details", { class: "shape", open: wide.matches }, h("summary", {}, "Overview of the answer"),
    figures(result));
  return h("section", { class: "about", "aria-label": "About this result" }, 
    whatWasLookedAt(result, wide.matches), howToRead(), shape, curvature(result),
    wide.matches && h("p", { class: "hint" },
      `${plural(candidates.considered, "sequence")} scored in ${seconds(timings.sweep)}, `,
      `the best rescored in full in ${seconds(timings.rescore)}`,
      timings.batch_size > 1 && `, together with ${plural(timings.batch_size - 1, "other query")}`, "."),
    result.asked?.rank === "auto" && result.method?.rank && h("p", { class: "hint" },
      `The first pass used gradients of rank ${count(result.method.rank)} or less.`),
    candidates.not_finite > 0 && h("p", { class: "hint warning" },
      `The model overflows on ${plural(candidates.not_finite, "sequence")} of these: they have no score and no rank.`));
}

/** How the inverse curvature was estimated, unless by the factors alone. */
function curvature({ method }) {
  switch (method?.estimator) {
    case "astra": return h("p", { class: "hint" },
      `Curvature by ASTRA: ${plural(method.iterations, "iteration")} in ${seconds(method.seconds)}.`);
    case "identity": return h("p", { class: "hint" },
      "Without curvature: scores are plain inner products of gradients, and not in nats.");
    default: return null;
  }
}

function lists(result, id, number, items) {
  const open = new Set((items.get("open") ?? "").split(",").filter(Boolean));
  const scale = Math.max(...result.sequences.map((sequence) => Math.abs(sequence.score)), 0);
  const hasOutput = result.sequences.some((sequence) => sequence.output_tokens);
  const context = {
    scale, open, what: explained(result), reading: hasOutput && items.get("marks") === "likelier" ? likelier : learned,
    toggle(key, isOpen) {
      if (isOpen) open.add(key);
      else open.delete(key);
      keepInAddress({ open: [...open].join(",") });
    },
    address: (key) =>
      `${location.origin}${location.pathname}${link(["results", id], { query: number || null, open: key })}`,
  };
  const proponents = result.sequences.filter((sequence) => sequence.score >= 0);
  const opponents = result.sequences.filter((sequence) => sequence.score < 0);
  const directions = [];
  // If the question brought its own texts, all of them are shown, whatever its direction.
  const direction = result.candidates.selection === "texts" ? "both" : result.asked?.direction;
  const { contrast } = result.query;
  const [up, down] = contrast ? ["Favoured it", "Favoured the other"] : ["Made it likelier", "Made it less likely"];
  if (direction !== "negative") directions.push([up, proponents, "positive"]);
  if (direction ? direction !== "positive" : opponents.length > 0) directions.push([down, opponents, "negative"]);
  const rankings = directions.map(([title, sequences, direction]) => [direction, ranking(title, sequences, context)]);
  const grid = h("div", { class: rankings.length > 1 ? "directions both" : "directions" },
    rankings.map(([direction, { section }]) => { section.dataset.direction = direction; return section; }));
  const meaning = h("div", {}, legend(context.reading));
  const marks = hasOutput && readings(context, (reading) => {
    context.reading = reading;
    replace(meaning, legend(reading));
    for (const [, list] of rankings) list.again();
    keepInAddress({ marks: reading === likelier ? "likelier" : null });
    announce(reading === likelier ? "The marks show what becomes likelier" : "The marks show where it was learned");
  });
  return h("div", { class: "lists" }, controls(result, rankings, grid, items), marks, meaning,
    lossLegend(result.sequences), grid);
}

/** Chooses the meaning of the marks. */
function readings(context, choose) {
  const buttons = [[learned, "Where it was learned"], [likelier, "What becomes likelier"]].map(([reading, text]) =>
    h("button", {
      type: "button", class: "chip", "aria-pressed": String(context.reading === reading),
      onclick: (event) => {
        for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.target));
        choose(reading);
      },
    }, text));
  return h("div", { class: "marks", role: "group", "aria-label": "Meaning of the marks" },
    h("span", { class: "hint" }, "Marked"), buttons);
}

/** The filters of the lists; on a narrow screen, also the choice between the two lists. */
function controls(result, rankings, grid, items) {
  const state = { find: items.get("find") ?? "", source: items.get("source") ?? "",
    doubtful: items.get("doubtful") ?? "" };
  const sources = [...new Set(result.sequences.map((sequence) => sequence.source).filter(Boolean))].sort();
  const apply = (change) => {
    Object.assign(state, change);
    keepInAddress(state);
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    const accepts = (sequence) => (!state.source || sequence.source === state.source)
      && (!state.doubtful || !sequence.spurious) && mentions(sequence, words);
    for (const [, list] of rankings) list.filter(accepts);
  };
  let timer = 0;
  const typed = (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => apply({ find: event.target.value }), 150);
  };
  const label = "Find in the sequences";
  const find = h("input", { type: "search", "aria-label": label, placeholder: label, value: state.find,
    oninput: typed });
  const source = sources.length > 1
    && h("select", { "aria-label": "Source", onchange: (event) => apply({ source: event.target.value }) },
      h("option", { value: "" }, "every source"),
      sources.map((name) => h("option", { value: name, selected: name === state.source }, name)));
  const doubtful = result.sequences.some((sequence) => sequence.spurious) && h("label", { class: "check" },
    h("input", {
      type: "checkbox", checked: state.doubtful === "hidden",
      onchange: (event) => apply({ doubtful: event.target.checked ? "hidden" : "" }),
    }),
    "Hide scores of mostly one token");
  // If all sequences are opponents, the empty list of proponents is not shown first.
  const seen = result.sequences.length === 0 || result.sequences.some(({ score: value }) => value >= 0)
    ? "positive" : "negative";
  const sides = rankings.length > 1 && h("div", { class: "sides", role: "group", "aria-label": "Which list" },
    rankings.map(([direction, { section }]) => h("button", {
      type: "button", class: "chip", "aria-pressed": String(direction === seen),
      onclick: (event) => {
        grid.dataset.side = direction;
        for (const other of event.target.parentElement.children) {
          other.setAttribute("aria-pressed", String(other === event.target));
        }
      },
    }, section.querySelector("h2").firstChild.textContent)));
  grid.dataset.side = seen;
  if (state.find || state.source || state.doubtful) apply({});
  return h("div", { class: "controls" }, sides, find, source, doubtful);
}
