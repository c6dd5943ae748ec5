// Says what one more copy of a sequence would do, if a linear prediction can.

import { percent, score } from "./format.js";

/**
 * The largest change of a log-probability that is shown as a percentage, in nats. Beyond it, a first-order prediction tells only the
 * order of the sequences.
 */
export const largest = 0.1;

/** What a result explains: something whose probability, or whose odds, a sequence changes. */
export function explained({ query, method }) {
  const { parts, combine, contrast, spans, log_probability: whole, measurement } = query;
  // Without curvature, scores are not in nats.
  const isInNats = method?.estimator !== "identity";
  if (contrast) return { name: "the odds of the first completion against the second", isOdds: true, isInNats };
  const name = !parts ? (spans ? "the marked part" : "the completion")
    : combine === "sum" ? "the completions together" : "the completions on average";
  return { name, isOdds: false, isInNats, logProbability: measurement ?? whole };
}

/**
 * The change that one more copy would make: "about 4 % likelier", "about 7 % less likely".
 *
 * @param {number} nats The change of the log-probability, or of the log-odds.
 * @param {{isOdds: boolean, isInNats: boolean, logProbability?: number}} what As {@link explained} gives it.
 * @returns {string|null} Null if the change is too large for a linear prediction, or would make a probability larger than 1.
 */
export function effect(nats, { isOdds, isInNats, logProbability = 0 }) {
  const isPossible = isOdds || nats <= 0 || logProbability + nats <= 0;
  if (!isInNats || !(Math.abs(nats) <= largest) || !isPossible) return null;
  const change = Math.abs(Math.expm1(nats));
  const size = change < 0.0005 ? "less than 0.1\u202f%" : `about ${percent(change)}`;
  return `${size} ${isOdds ? (nats >= 0 ? "greater" : "smaller") : (nats >= 0 ? "likelier" : "less likely")}`;
}

/** The effect of one more copy in a sentence, or why there is no percentage for it. */
export function sentence(nats, what) {
  const words = effect(nats, what);
  if (words) return `One more copy in training would make ${what.name} ${words}, to first order.`;
  return what.isInNats
    ? `${score(nats)} nats per copy is more than a linear prediction can turn into a percentage: trust the order.`
    : "Without curvature, scores are not in nats, and there is no percentage: trust the order.";
}
