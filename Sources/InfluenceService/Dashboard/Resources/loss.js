// Shows on which parts of a text training took its loss, and a chat as a chat.

import { h } from "./dom.js";

/** @typedef {{start: number, end: number}} Span  In code points, the end excluded. */
/** @typedef {Array<Node|string>} Nodes  Strings, and elements with text alone, whose texts together are the text shown. */

/** Where loss begins and ends, in turn, in a string of the page; null if all of it carries loss. @param {Span[]} [spans] */
function edgesOf(text, spans) {
  if (!spans) return null;
  const wanted = spans.flatMap(({ start, end }) => [start, end]);
  const edges = [];
  let place = 0;
  let index = 0;
  for (const symbol of text) {
    while (wanted[edges.length] === place) edges.push(index);
    if (edges.length === wanted.length) break;
    place += 1;
    index += symbol.length;
  }
  while (edges.length < wanted.length) edges.push(text.length);
  return edges;
}

const textOf = (node) => (typeof node === "string" ? node : node.textContent);
const textLength = (nodes) => nodes.reduce((sum, node) => sum + textOf(node).length, 0);

/** The part of some nodes between two places in their text. */
function slice(nodes, from, to) {
  const made = [];
  let place = 0;
  for (const node of nodes) {
    const text = textOf(node);
    const [start, end] = [Math.max(from - place, 0), Math.min(to - place, text.length)];
    place += text.length;
    if (start >= end) continue;
    if (start === 0 && end === text.length) made.push(node);
    else if (typeof node === "string") made.push(text.slice(start, end));
    else {
      const part = node.cloneNode();
      part.textContent = text.slice(start, end);
      made.push(part);
    }
  }
  return made;
}

/** Nodes, with what carried no loss dimmed. `offset` is the place of the first node in the text. */
function dimmed(nodes, edges, offset = 0) {
  if (!edges) return nodes;
  const length = textLength(nodes);
  const made = [];
  let place = 0;
  let carriesLoss = false;
  for (const edge of [...edges.map((index) => index - offset), length]) {
    const end = Math.min(edge, length);
    if (end > place) {
      const part = slice(nodes, place, end);
      made.push(carriesLoss ? part : h("span", { class: "no-loss" }, part));
      place = end;
    }
    carriesLoss = !carriesLoss;
  }
  return made;
}

/**
 * A part of a sequence's text, with what carried no loss dimmed.
 *
 * @param {Nodes} nodes The part.
 * @param {{text: string, loss?: Span[]}} sequence
 * @param {number} offset Where the part begins in the text.
 */
export function withLoss(nodes, { text, loss }, offset = 0) {
  return dimmed(nodes.flat(Infinity), edgesOf(text, loss), offset);
}

/** What begins a turn in the usual templates: a marker with a role, or one that stands for a role. */
const opening = new RegExp([
  "<\\|im_start\\|>(?<chatml>[\\w-]+)\\n?", "<\\|start_header_id\\|>(?<header>[\\w-]+)<\\|end_header_id\\|>\\n{0,2}",
  "<start_of_turn>(?<turn>[\\w-]+)\\n?", "<\\|(?<named>system|user|assistant|tool)\\|>\\n?", "(?<user>\\[INST\\]) ?",
  "(?<assistant>\\[/INST\\]) ?",
].join("|"), "g");
/** What ends one. */
const closing = /(?:<\|(?:im_end|eot_id|eom_id|end|endoftext)\|>|<end_of_turn>|<\/s>)\s*$/;
/** What a text can have before its first turn: white space and special tokens. */
const preamble = /^(?:\s|<[^<>\s]{1,40}>)*$/;

/**
 * @typedef {object} Turn
 * @property {string} role
 * @property {number} from  Where its marker begins.
 * @property {number} start  Where its content begins.
 * @property {number} end  Where its content ends.
 * @property {number} to  Where the marker of its end ends.
 */

/** The turns of a rendered chat; none if the text is not one. @returns {Turn[]} */
export function turnsOf(text) {
  const found = [...text.matchAll(opening)];
  if (found.length < 2 || !preamble.test(text.slice(0, found[0].index))) return [];
  return found.map((match, index) => {
    const { user, assistant, ...roles } = match.groups;
    const from = index === 0 ? 0 : match.index;
    const start = match.index + match[0].length;
    const to = found[index + 1]?.index ?? text.length;
    const end = start + text.slice(start, to).replace(closing, "").length;
    const role = user ? "user" : assistant ? "assistant" : Object.values(roles).find(Boolean);
    return { role, from, start, end, to };
  });
}

/**
 * A whole text: as a chat if it is a rendered one, otherwise as a paragraph, with what carried no loss dimmed.
 *
 * @param {Nodes} nodes The text, perhaps with marks.
 * @param {{text: string, loss?: Span[]}} sequence
 * @param {object} attributes Of each paragraph, such as its language.
 */
export function wholeText(nodes, { text, loss }, attributes = {}) {
  const flat = nodes.flat(Infinity);
  const edges = edgesOf(text, loss);
  const turns = textLength(flat) === text.length ? turnsOf(text) : [];
  const { class: kind = "text", ...others } = { dir: "auto", ...attributes };
  const part = (from, to) => dimmed(slice(flat, from, to), edges, from);
  if (turns.length === 0) return h("p", { class: kind, ...others }, part(0, textLength(flat)));
  return h("div", { class: `chat ${kind}` }, turns.map((turn) => h("div", { class: "turn", dataset: { role: turn.role } },
    h("p", { class: "role" }, h("strong", {}, turn.role), edges && carries(edges, turn) && " · with loss",
      h("span", { class: "marker" }, part(turn.from, turn.start))),
    h("p", others, part(turn.start, turn.end), h("span", { class: "marker" }, part(turn.end, turn.to))))));
}

/** Whether some of a turn's content carries loss. */
function carries(edges, { start, end }) {
  return edges.some((edge, index) => index % 2 === 0 && edge < end && edges[index + 1] > start);
}

/** What dimmed text means, for a list of sequences; null if all of their texts carry loss. */
export function lossLegend(sequences) {
  return sequences.some(({ loss }) => loss) && h("p", { class: "legend" },
    h("span", {}, "Training took its loss on text like this, ",
      h("span", { class: "no-loss" }, "and not on text like this"), ", which the model only read."));
}
