// Joins two rankings by their sequences.

import { titleOf } from "./sequence.js";

/**
 * @typedef {object} Pair
 * @property {string} id
 * @property {string} title
 * @property {object|null} left   The sequence in the first ranking; null if that ranking does not have it.
 * @property {object|null} right
 * @property {number|null} difference  The first score minus the second; null if one is unknown.
 */

/** Every sequence of either ranking, those with the greatest score first. @returns {Pair[]} */
export function join(left, right) {
  const pairs = new Map();
  for (const [side, sequences] of [["left", left], ["right", right]]) {
    for (const sequence of sequences) {
      const pair = pairs.get(sequence.id) ?? { id: sequence.id, title: titleOf(sequence), left: null, right: null };
      pairs.set(sequence.id, { ...pair, [side]: sequence });
    }
  }
  const size = (pair) => Math.max(Math.abs(pair.left?.score ?? 0), Math.abs(pair.right?.score ?? 0));
  return [...pairs.values()]
    .map((pair) => ({ ...pair, difference: pair.left && pair.right ? pair.left.score - pair.right.score : null }))
    .sort((one, other) => size(other) - size(one));
}

/** Spearman's rank correlation over the sequences in both rankings; null for fewer than three. */
export function rankCorrelation(pairs) {
  const shared = pairs.filter((pair) => pair.left && pair.right);
  if (shared.length < 3) return null;
  const ranks = (side) => {
    const order = [...shared].sort((one, other) => other[side].score - one[side].score);
    return new Map(order.map((pair, index) => [pair.id, index]));
  };
  const [first, second] = [ranks("left"), ranks("right")];
  const squares = shared.reduce((sum, pair) => sum + (first.get(pair.id) - second.get(pair.id)) ** 2, 0);
  const n = shared.length;
  return 1 - 6 * squares / (n * (n * n - 1));
}
