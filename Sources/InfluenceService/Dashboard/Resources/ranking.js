// A list of sequences, as long as it may be: rows are made a few at a time, so that ten thousand do not hold up the page.

import { announce, h, replace } from "./dom.js";
import { count, plural } from "./format.js";
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
  const more = h("div", { class: "actions" });
  const heading = h("h2", {}, title, " ", h("span", { class: "hint" }));
  const section = h("section", { class: "direction" }, heading, list, more);
  let wanted = sequences;
  let shown = 0;
  let filling = 0;
  filter(() => true);
  return { section, filter };

  /** Shows the sequences that a filter lets through. */
  function filter(accepts) {
    wanted = sequences.filter(accepts);
    filling += 1;
    replace(list);
    shown = 0;
    heading.lastElementChild.textContent = wanted.length === sequences.length
      ? count(sequences.length) : `${count(wanted.length)} of ${count(sequences.length)}`;
    // What an address names is shown at once, however far down it is.
    const furthest = wanted.findLastIndex((sequence) => context.open.has(keyOf(sequence)));
    add(Math.max(first, furthest + 1));
  }

  function add(number) {
    const rows = wanted.slice(shown, shown + number).map((sequence) =>
      sequenceRow(sequence, { ...context, isOpen: context.open.has(keyOf(sequence)) }));
    shown += rows.length;
    list.append(...rows);
    offerMore();
    return rows[0];
  }

  function offerMore() {
    const rest = wanted.length - shown;
    replace(more,
      rest === 0 && wanted.length === 0 && h("p", { class: "empty" }, "None."),
      rest > 0 && h("button", { type: "button", onclick: () => focus(add(step)) }, `${count(Math.min(step, rest))} more`),
      rest > step && h("button", { type: "button", class: "quiet", onclick: () => addAll(filling) }, `All ${count(wanted.length)}`));
  }

  async function addAll(mine) {
    while (shown < wanted.length && mine === filling && list.isConnected) {
      add(step);
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    announce(`${plural(shown, "sequence")} shown`);
  }
}

function focus(row) {
  row?.querySelector("button")?.focus({ preventScroll: true });
}

/** Whether a sequence has some words in its title, id, source or text. */
export function mentions(sequence, words) {
  const text = `${titleOf(sequence)} ${sequence.id} ${sequence.source ?? ""} ${sequence.text}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
