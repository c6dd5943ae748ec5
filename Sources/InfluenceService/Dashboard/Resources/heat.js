// Marks tokens by their influence. Colour is not the only sign: proponents have solid lines and opponents dotted ones,
// and both show the strength.

import { h } from "./dom.js";
import { score, visible } from "./format.js";

/** @typedef {{text: string, score: number, next?: string}} Token */

/**
 * What the marks mean.
 *
 * @typedef {object} Reading
 * @property {string} member  The member of a sequence that has its tokens.
 * @property {string} mark  A class that distinguishes these marks from others.
 * @property {(token: Token) => string} meaning  What a token's score says, in words.
 * @property {[string, (token: Token) => string][]} columns  What a table of tokens has before the score.
 */

/** Where the influence comes from: a score belongs to the token that predicts the next one. @type {Reading} */
export const learned = {
  member: "tokens", mark: "", meaning,
  columns: [["At", (token) => visible(token.text)], ["predicting", (token) => next(token)]],
};

/** What moving towards the question does to a sequence's own tokens. @type {Reading} */
export const likelier = {
  member: "output_tokens", mark: "output",
  meaning: (token) => `${score(token.score)}: “${visible(token.text)}” becomes `
    + `${token.score > 0 ? "likelier" : "less likely"} here`,
  columns: [["Token", (token) => visible(token.text)]],
};

const steps = [0.06, 0.18, 0.4, 0.7];

/**
 * Tokens as they are shown: a token that has only part of a character is joined with the next one.
 *
 * @param {Token[]} tokens
 * @returns {Token[]} Each with the text of the token that it predicts.
 */
export function shownTokens(tokens) {
  const shown = [];
  let pending = 0;
  for (const token of tokens) {
    if (token.text === "") {
      pending += token.score;
      continue;
    }
    if (shown.length) shown.at(-1).next = token.text;
    shown.push({ text: token.text, score: token.score + pending });
    pending = 0;
  }
  return shown;
}

const strongest = (tokens) => tokens.reduce((most, token) => Math.max(most, Math.abs(token.score)), 0);

/**
 * A sequence's text with its influential tokens marked.
 *
 * @param {Token[]} tokens As {@link shownTokens} gives them.
 * @param {Reading} [reading]
 * @param {number} [scale] The score that is marked strongest.
 * @returns {Array<Node|string>}
 */
export function heat(tokens, reading = learned, scale = strongest(tokens)) {
  const nodes = [];
  let plain = "";
  for (const token of tokens) {
    const strength = scale > 0 ? steps.filter((step) => Math.abs(token.score) >= step * scale).length : 0;
    if (strength === 0) {
      plain += token.text;
      continue;
    }
    // White space in front of a word is not marked, because it would look like a gap in a bar.
    const space = /^\s+(?=\S)/.exec(token.text)?.[0] ?? "";
    nodes.push(plain + space, h("mark", {
      class: `heat ${reading.mark} ${token.score > 0 ? "positive" : "negative"} s${strength}`,
      title: reading.meaning(token),
    }, token.text.slice(space.length)));
    plain = "";
  }
  nodes.push(plain);
  return nodes;
}

function next(token) {
  return token.next === undefined ? "the end" : visible(token.next);
}

function meaning(token) {
  const predicted = token.next === undefined ? next(token) : `“${next(token)}”`;
  return `${score(token.score)} for what “${visible(token.text)}” predicts: ${predicted}`;
}

/**
 * The part of a text with the strongest token in it, about `length` characters long.
 *
 * @param {(nodes: Array<Node|string>, offset: number) => Array<Node|string>} finish Finishes the marked part of the text, which
 *   begins at `offset`.
 */
export function excerpt(tokens, reading, finish, length = innerWidth < 480 ? 150 : 300) {
  const scale = strongest(tokens);
  const peak = Math.max(0, tokens.findIndex((token) => Math.abs(token.score) === scale));
  let from = peak;
  let to = from + 1;
  let size = tokens[from]?.text.length ?? 0;
  // More of the preceding text is shown, because the prediction was made from it.
  while (size < length && (from > 0 || to < tokens.length)) {
    for (const _ of [1, 2]) if (from > 0) size += tokens[--from].text.length;
    if (to < tokens.length) size += tokens[to++].text.length;
  }
  // If possible, the excerpt begins with a word.
  for (let skip = 0; skip < 4 && from > 0 && from < peak - 4 && !/^\s/.test(tokens[from].text); skip += 1) from += 1;
  const offset = tokens.slice(0, from).reduce((sum, token) => sum + token.text.length, 0);
  const nodes = finish(heat(tokens.slice(from, to), reading, scale), offset);
  return [from > 0 && "…", nodes, to < tokens.length && "…"];
}

/** The strongest tokens as a table, for readers who do not see the marks. */
export function tokenTable(tokens, reading = learned, count = 6) {
  const rows = [...tokens].sort((one, other) => Math.abs(other.score) - Math.abs(one.score)).slice(0, count);
  return h("table", { class: "tokens" },
    h("caption", {}, "Strongest tokens"),
    h("thead", {}, h("tr", {}, 
      reading.columns.map(([name]) => h("th", { scope: "col" }, name)),
      h("th", { scope: "col", class: "number" }, "score"))),
    h("tbody", {}, rows.map((token) => h("tr", {},
      reading.columns.map(([, text]) => h("td", {}, h("bdi", { class: "token" }, text(token)))),
      h("td", { class: `number ${token.score > 0 ? "positive" : "negative"}` }, score(token.score))))));
}

/** What marks mean. */
export function legend(reading = learned) {
  const sample = (direction, strength, text) =>
    h("mark", { class: `heat ${reading.mark} ${direction} s${strength}` }, text);
  const [positive, negative, note] = reading === likelier
    ? [" becomes likelier", " becomes less likely", "The marked tokens change their probability if the "
      + "model moves towards the question. The scores of all tokens add up to the sequence’s."]
    : [" makes it likelier", " makes it less likely", "A mark is on the token that predicts the next one: the model "
      + "learned the token after it."];
  return h("p", { class: "legend" },
    h("span", {}, sample("positive", 4, "strong"), " ", sample("positive", 2, "weak"), positive),
    h("span", {}, sample("negative", 4, "strong"), " ", sample("negative", 2, "weak"), negative),
    h("span", {}, note));
}
