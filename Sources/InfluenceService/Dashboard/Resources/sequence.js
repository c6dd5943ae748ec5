// One ranked sequence: its rank, its score, the part that mattered, and on request the whole text.

import { copyButton, h, identifier, replace } from "./dom.js";
import { documentPieces } from "./document.js";
import { sentence } from "./effect.js";
import { clip, score } from "./format.js";
import { excerpt, heat, shownTokens, tokenTable } from "./heat.js";
import { layerChart } from "./layers.js";
import { wholeText, withLoss } from "./loss.js";

/**
 * @param {object} sequence As the API gives it.
 * @param {{scale: number, what: string, isOpen: boolean, reading: import("./heat.js").Reading,
 *   toggle: (key: string, isOpen: boolean) => void, address: (key: string) => string}} context
 *   `scale` is the largest score of the result, `what` is what the question explains (`explained`), `address` links to this sequence.
 */
export function sequenceRow(sequence, context) {
  const direction = sequence.score >= 0 ? "positive" : "negative";
  const key = keyOf(sequence);
  const reading = context.reading;
  const tokens = sequence[reading.member] ? shownTokens(sequence[reading.member]) : null;
  const short = h("p", { class: "excerpt", dir: "auto", lang: language(sequence) },
    tokens ? excerpt(tokens, reading, (nodes, offset) => withLoss(nodes, sequence, offset))
      : withLoss([clip(sequence.text, 320)], sequence));
  const whole = h("div", { class: "whole", id: identifier("whole"), hidden: true });
  const button = h("button", {
    type: "button", class: "link", "aria-expanded": "false", "aria-controls": whole.id,
    onclick: () => turn(whole.hidden),
  }, "Whole sequence");
  if (context.isOpen) turn(true, true);

  return h("li", { class: `sequence ${direction}`, id: `sequence-${key}`, dataset: { key } },
    h("p", { class: "place" },
      h("span", { class: "hidden" }, direction === "positive" ? "Likelier, rank " : "Less likely, rank "),
      sequence.rank),
    h("div", { class: "head" },
      h("h3", {}, h("bdi", {}, titleOf(sequence))),
      sequence.source && h("span", { class: "source" }, h("bdi", {}, sequence.source)),
      sequence.spurious && doubt()),
    h("div", { class: "score" },
      h("span", { class: "value" }, score(sequence.score)),
      h("span", {
        class: "meter", "aria-hidden": "true",
        style: { "--share": context.scale ? Math.abs(sequence.score) / context.scale : 0 },
      }),
      h("span", {
        class: "hint", title: sentence(sequence.nats_per_copy, context.what),
      }, `${score(sequence.nats_per_copy)} per copy`)),
    h("div", { class: "body" }, short, h("div", { class: "actions" }, button), whole));

  function turn(isOpen, isSilent = false) {
    if (isOpen && !whole.hasChildNodes()) replace(whole, wholeSequence());
    whole.hidden = !isOpen;
    short.hidden = isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    button.textContent = isOpen ? "Less" : "Whole sequence";
    if (!isSilent) context.toggle(key, isOpen);
  }

  function wholeSequence() {
    const others = h("div", { class: "pieces" });
    return [
      wholeText(tokens ? heat(tokens, reading) : [sequence.text], sequence, { lang: language(sequence) }),
      h("div", { class: "actions" },
        !isGiven(sequence) && h("button", {
          type: "button", onclick: (event) => documentPieces(sequence, others, event.target),
        }, "The whole document"),
        copyButton(() => context.address(key), "Copy link")),
      others,
      h("p", { class: "hint" }, sentence(sequence.nats_per_copy, context.what)),
      h("div", { class: "parts" },
        tokens && tokenTable(tokens, reading),
        sequence.layers && layerChart(sequence.layers),
        facts(sequence)),
    ];
  }
}

/** A warning that a score may be an artefact, with the reason on request. */
function doubt() {
  return h("details", { class: "flag" }, h("summary", {}, "mostly one token"),
    h("p", {}, "Nearly all of the influence comes from a single token. Such scores are often artefacts of a rare token "
      + "with a large gradient, and say little about the text: look at the token before you trust the "
      + "rank."));
}

/** Names a sequence within a result: p1 is the first proponent, n1 the first opponent. */
export function keyOf(sequence) {
  return `${sequence.score >= 0 ? "p" : "n"}${sequence.rank}`;
}

/** Whether a sequence is a text that came with the question, and not from the corpus. */
function isGiven(sequence) {
  return Number.isInteger(sequence.index);
}

/** A sequence's name for people: the title in its metadata, if there is one. */
export function titleOf(sequence) {
  if (isGiven(sequence)) return `Text ${sequence.index + 1}`;
  const title = sequence.metadata?.title;
  return typeof title === "string" && title ? title : sequence.id;
}

// Screen readers and hyphenation need the language; metadata can contain anything.
function language(sequence) {
  const value = sequence.metadata?.language;
  return typeof value === "string" && /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/.test(value) ? value : null;
}

function facts(sequence) {
  const metadata = sequence.metadata && typeof sequence.metadata === "object" && !Array.isArray(sequence.metadata)
    ? Object.entries(sequence.metadata) : sequence.metadata == null ? [] : [["metadata", sequence.metadata]];
  const rows = [["id", sequence.id], ...(sequence.source ? [["source", sequence.source]] : []), ...metadata];
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [
    h("dt", {}, h("bdi", {}, name)), h("dd", {}, h("bdi", {}, shownValue(value))),
  ]));
}

// Only web addresses become links: metadata comes from the corpus, and may contain "javascript:".
function shownValue(value) {
  if (typeof value === "string" && /^https?:\/\//i.test(value)) {
    return h("a", { href: value, rel: "noopener noreferrer", target: "_blank" }, value);
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}
