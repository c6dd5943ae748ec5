// Scores the reader's own text for the questions of a result: what would it do to the completion?

import { ask, newKey, resultsOf } from "./api.js";
import { announce, h, identifier, problem, replace } from "./dom.js";
import { followJob } from "./events.js";
import { clip, count, plural, score } from "./format.js";
import { heat, legend, shownTokens } from "./heat.js";
import { layerChart } from "./layers.js";
import { asAsked } from "./query.js";
import { go, link } from "./router.js";

/**
 * A field for a text, and below it the scores of the texts so far, latest first.
 *
 * @param {{name: string, result: object}[]} questions The results for whose questions the text is scored.
 * @param {AbortSignal} signal
 */
export function ownTexts(questions, signal) {
  const text = h("textarea", { id: identifier("own"), name: "own", rows: 3, dir: "auto", spellcheck: "false" });
  const button = h("button", { type: "submit" }, "Score it");
  const state = h("p", { class: "hint", role: "status" });
  const failure = h("div");
  const tried = h("div", { class: "tried" });
  const form = h("form", { class: "own", onsubmit: send, novalidate: true },
    h("div", { class: "field" }, h("label", { for: text.id }, "Your text"), text,
      h("p", { class: "hint" },
        "It is scored as if it were a training sequence, and need not be one. Change a word, and score it again.")),
    h("div", { class: "actions" }, button, state), failure);
  return h("section", { class: "own-texts" }, h("h2", {}, "Score your own text"), form, tried);

  async function send(event) {
    event.preventDefault();
    const asked = text.value;
    if (!asked) return text.focus();
    button.disabled = true;
    text.removeAttribute("aria-invalid");
    replace(failure);
    state.textContent = "Asking…";
    try {
      const job = await ask(questions.map(({ result }) => queryFor(result.query, asked)), newKey());
      await followJob(job.id, {
        job({ status }) { state.textContent = status === "queued" ? "Waiting for its turn…" : "Scoring…"; },
        progress() {},
        silence(isSilent) { if (isSilent) state.textContent = "The server does not answer. Trying again…"; },
      }, signal);
      const entries = await resultsOf(job.id, signal);
      if (entries[0].error) throw new Error(entries[0].error.detail);
      if (tried.childElementCount === 0) tried.append(legend());
      tried.firstElementChild.after(card(asked, entries, questions, job.id));
      announce(entries.map((entry, index) => `${questions[index].name}: ${score(entry.sequences[0].score)}`)
        .join(", "));
      state.textContent = "";
    } catch (error) {
      if (signal.aborted) return;
      state.textContent = "";
      text.setAttribute("aria-invalid", "true");
      replace(failure, problem(error));
    } finally {
      button.disabled = false;
    }
  }
}

function queryFor(query, text) {
  return { ...asAsked(query), candidates: { texts: [text] }, attribution: { layers: true, tokens: true } };
}

/** The scores of one text for each question. */
function card(text, entries, questions, id) {
  return h("article", { class: "tried-text", "aria-label": clip(text, 60) },
    entries.map(({ sequences: [found] }, index) => {
      const { name, result } = questions[index];
      const direction = found.score >= 0 ? "positive" : "negative";
      const others = result.sequences.filter((other) => other.score >= 0 === found.score >= 0);
      const weaker = others.filter((other) => Math.abs(other.score) < Math.abs(found.score)).length;
      return h("div", { class: "tried-side" },
        h("p", {}, questions.length > 1 && h("span", { class: "hint" }, `${name} question `),
          h("strong", { class: direction }, score(found.score)),
          h("span", { class: "hint" }, others.length > 0 && ` ${place(weaker, others.length, direction)}`),
          found.spurious && h("span", { class: "flag" }, "mostly one token")),
        h("p", { class: "text", dir: "auto" }, found.tokens ? heat(shownTokens(found.tokens)) : found.text),
        found.layers && h("details", {}, h("summary", {}, "By layer"), layerChart(found.layers)));
    }),
    h("p", { class: "actions" }, h("button", {
      type: "button", class: "link", onclick: () => go(link(["results", id])),
    }, "Open as a result")));
}

/** The rank of a score among those shown. */
function place(weaker, all, direction) {
  const names = { positive: "proponent", negative: "opponent" };
  if (weaker === all) return `more than every ${names[direction]} shown`;
  if (weaker === 0) return `less than every ${names[direction]} shown`;
  return `more than ${count(weaker)} of the ${plural(all, names[direction])} shown`;
}
