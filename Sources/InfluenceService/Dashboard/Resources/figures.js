// The shape of an answer: how all scores are distributed, which sources and which layers carry it.

import { h } from "./dom.js";
import { distributionChart, shareBars } from "./charts.js";
import { layerChart, summed } from "./layers.js";
import { count, plural, score } from "./format.js";

/** @param {object} result One query's. */
export function figures(result) {
  const proponents = result.sequences.filter((sequence) => sequence.score > 0);
  const opponents = result.sequences.filter((sequence) => sequence.score < 0);
  return h("section", { class: "figures", "aria-label": "The shape of the answer" },
    distribution(result),
    shares(proponents, "likelier"),
    shares(opponents, "less likely"),
    layers(proponents, "Layers, summed over what made it likelier"),
    layers(opponents, "Layers, summed over what made it less likely"));
}

function distribution({ distribution: all, sequences }) {
  if (!all?.counts?.length) return null;
  const tail = all.tail;
  return h("figure", {},
    h("figcaption", {}, "All scores"),
    distributionChart(all, sequences.map((sequence) => sequence.score)),
    h("p", { class: "hint" },
      `${plural(all.sequences, "sequence")} were scored: mean ${score(all.mean)}, `,
      `standard deviation ${score(all.standard_deviation).replace("+", "")}. `,
      "The ticks under the line are those shown here. ",
      tail && `The line is the power law that fits the top ${count(tail.sequences)}: `,
      tail && `the share above a score falls as its power \u2212${tail.exponent.toFixed(1)}. `,
      tail && (tail.exponent < 1.5 ? "So low an exponent means that a few sequences carry most of the influence."
        : "The influence is spread over many sequences.")));
}

function shares(sequences, direction) {
  if (sequences.length === 0) return null;
  const sums = new Map();
  for (const { source, score: value } of sequences) {
    const name = source ?? "no source";
    const sum = sums.get(name) ?? { value: 0, sequences: 0 };
    sums.set(name, { value: sum.value + value, sequences: sum.sequences + 1 });
  }
  const all = sequences.reduce((sum, sequence) => sum + sequence.score, 0);
  const rows = [...sums].map(([name, sum]) => ({
    name, value: sum.value, text: `${Math.round(100 * sum.value / all)}\u202f% (${count(sum.sequences)})`,
  })).sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
  const shown = rows.slice(0, 8);
  return h("figure", {},
    h("figcaption", {}, `Sources of what made it ${direction}`),
    shareBars(shown, "Share of the scores by source"),
    h("p", { class: "hint" }, "Share of the scores of the sequences shown, and their number.",
      rows.length > shown.length && ` ${count(rows.length - shown.length)} more sources have less.`));
}

function layers(sequences, label) {
  const sums = summed(sequences);
  return sums.length > 0 && layerChart(sums, label);
}
