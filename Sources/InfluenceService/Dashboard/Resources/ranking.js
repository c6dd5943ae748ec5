// A list of sequences of any length. Only a part is shown at a time, so that ten thousand do not slow down the page.

import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { sequenceRow, keyOf, titleOf } from "./sequence.js";

const first = 50;
const step = 100;

/**
 * One direction of a ranking.
 *
 * @param {string} title
 * @param {object[]} sequences
 * @param {object} context As {@link sequenceRow} takes it, with `open`, the keys of the sequences that are open.
 */
export function ranking(title, sequences, context) {
  const list = h("ol", { class: "ranking" });
  const before = h("div", { class: "actions" });
  const after = h("div", { class: "actions" });
  const heading = h("h2", {}, title, " ", h("span", { class: "hint" }));
  const section = h("section", { class: "direction" }, heading, before, list, after);
  let wanted = sequences;
  // The positions that are shown: from the first up to but excluding the second.
  let [from, to] = [0, 0];
  filter(() => true);
  return { section, filter, again };

  /** Shows the sequences that a filter accepts. */
  function filter(accepts) {
    wanted = sequences.filter(accepts);
    heading.lastElementChild.textContent = wanted.length === sequences.length
      ? count(sequences.length) : `${count(wanted.length)} of ${count(sequences.length)}`;
    const opened = wanted.map((sequence, index) => (context.open.has(keyOf(sequence)) ? index : -1))
      .filter((index) => index >= 0);
    // A sequence that the address names is shown at once, however far down it is.
    begin(opened.length > 0 && opened.at(-1) >= first ? Math.max(0, opened[0] - 5) : 0);
  }

  /** Rebuilds the rows that are shown, after a change of their appearance. */
  function again() {
    const rows = made(from, to);
    replace(list, rows);
  }

  function begin(place) {
    replace(list);
    from = to = place;
    later(first);
  }

  function later(number) {
    const rows = made(to, to + number);
    to += rows.length;
    list.append(...rows);
    offer();
    return rows[0];
  }

  function earlier() {
    const rows = made(Math.max(0, from - step), from);
    from -= rows.length;
    list.prepend(...rows);
    offer();
    return rows.at(-1);
  }

  function made(start, end) {
    return wanted.slice(start, end).map((sequence) =>
      sequenceRow(sequence, { ...context, isOpen: context.open.has(keyOf(sequence)) }));
  }

  function offer() {
    const rest = wanted.length - to;
    replace(before, from > 0
      && h("button", { type: "button", onclick: () => focus(earlier()) },
        `Show the previous ${count(Math.min(step, from))}`));
    replace(after,
      wanted.length === 0 && h("p", { class: "empty" }, "None."),
      rest > 0 && h("button", { type: "button", onclick: () => focus(later(step)) },
        `Show ${count(Math.min(step, rest))} more`),
      wanted.length > 2 * step && goTo());
  }

  /** A field to go to a rank that is far away. */
  function goTo() {
    const field = h("input", {
      type: "number", min: 1, max: wanted.length, placeholder: "Go to…",
      "aria-label": `Go to a rank in “${title}”`,
    });
    field.addEventListener("change", () => {
      const place = Math.min(Math.max(Math.round(Number(field.value)) || 1, 1), wanted.length);
      begin(place - 1);
      list.firstElementChild.scrollIntoView({ block: "center" });
      focus(list.firstElementChild);
    });
    return field;
  }
}

function focus(row) {
  row?.querySelector("button")?.focus({ preventScroll: true });
}

/** Whether a sequence has all the words in its title, id, source or text. */
export function mentions(sequence, words) {
  const text = `${titleOf(sequence)} ${sequence.id} ${sequence.source ?? ""} ${sequence.text}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
