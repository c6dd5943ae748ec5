// The overview of an answer: how all scores are distributed, and which sources and layers carry the influence.

import { h } from "./dom.js";
import { distributionChart, shareBars } from "./charts.js";
import { layerChart, summed } from "./layers.js";
import { count, percent, plural, score } from "./format.js";

/** @param {object} result One query's. */
export function figures(result) {
  const proponents = result.sequences.filter((sequence) => sequence.score > 0);
  const opponents = result.sequences.filter((sequence) => sequence.score < 0);
  return h("section", { class: "figures", "aria-label": "Overview of the answer" },
    distribution(result),
    result.sources ? sources(result) : [shares(proponents, "likelier"), shares(opponents, "less likely")],
    layers(proponents, "Layers, summed over what made it likelier"),
    layers(opponents, "Layers, summed over what made it less likely"));
}

function distribution({ distribution: all, sequences }) {
  if (!all?.counts?.length) return null;
  return h("figure", {},
    h("figcaption", {}, "All scores"),
    distributionChart(all, sequences.map((sequence) => sequence.score)),
    h("p", { class: "hint" }, held(all),
      `${plural(all.sequences, "sequence")} were scored: mean ${score(all.mean)}, `,
      `standard deviation ${score(all.standard_deviation).replace("+", "")}. `,
      "The ticks under the axis are the sequences shown here."),
    all.power_law && h("p", { class: "hint" }, powerLaw(all.power_law)));
}

const parts = new Map([[0.0001, "ten-thousandth"], [0.001, "thousandth"], [0.01, "hundredth"], [0.1, "tenth"]]);

/** How much influence the strongest sequences hold, in a sentence. */
function held({ shares = [] }) {
  if (shares.length === 0) return null;
  const told = shares.slice(-3).map(({ part, sequences, share }, index) =>
    `the top ${parts.get(part)}${index === 0 ? ` (${plural(sequences, "sequence")})` : ""} `
    + `${index === 0 ? "holds " : ""}${percent(share)}`);
  const sentence = told.length > 1 ? `${told.slice(0, -1).join(", ")} and ${told.at(-1)}` : told[0];
  return `Of all positive influence, ${sentence}. `;
}

function powerLaw({ exponent, standard_error: error, from, sequences }) {
  const meaning = exponent < 2
    ? "Such a low exponent means that a handful of sequences carry nearly all of the influence."
    : exponent < 3 ? "This is a heavy tail: a few sequences carry much of the influence."
      : "The influence is spread over many sequences.";
  return `The line is a power law fitted to the ${plural(sequences, "score")} from ${score(from)} upwards: their `
    + `density falls with exponent ${exponent.toFixed(1)} ± ${error.toFixed(1)}. ${meaning}`;
}

/** The sources that the influence of all scored sequences comes from. */
function sources({ sources: all, other_sources: others }) {
  if (all.length === 0) return null;
  const side = (sign, caption, label) => {
    const rows = all.map(({ source, sequences, [sign]: value }) => ({ name: source ?? "no source", sequences, value }))
      .filter((row) => row.value !== 0).sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
    const sum = rows.reduce((total, row) => total + row.value, others?.[sign] ?? 0);
    if (rows.length === 0) return null;
    const shown = rows.slice(0, 8);
    const rest = rows.length - shown.length + (others?.sources ?? 0);
    return h("figure", {},
      h("figcaption", {}, caption),
      shareBars(shown.map((row) => ({ ...row, text: `${percent(row.value / sum)} (${count(row.sequences)})` })), label),
      h("p", { class: "hint" }, "Share of the influence of all scored sequences, and the number of sequences.",
        rest > 0 && ` ${count(rest)} other sources have less.`));
  };
  return [side("positive", "Sources of what made it likelier", "Share of the influence for it, by source"),
    side("negative", "Sources of what made it less likely", "Share of the influence against it, by source")];
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
    h("p", { class: "hint" }, "Share of the scores of the sequences shown here, and the number of sequences.",
      rows.length > shown.length && ` ${count(rows.length - shown.length)} other sources have less.`));
}

function layers(sequences, label) {
  const sums = summed(sequences);
  return sums.length > 0 && layerChart(sums, label);
}
