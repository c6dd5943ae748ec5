// Charts in SVG. Each has a sentence that says what it shows.

import { h, s } from "./dom.js";
import { count, plural, score } from "./format.js";

const WIDTH = 320;

/** @returns {SVGElement} */
function drawing(height, label, ...children) {
  return s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label, class: "chart" }, ...children);
}

/**
 * The distribution of all scores, with the fitted tail and the positions of the sequences shown.
 *
 * @param {{bounds: number[], counts: number[], power_law?: {exponent: number, from: number,
 *   sequences: number}}} distribution
 * @param {number[]} shown Scores of the sequences that are shown.
 */
export function distributionChart(distribution, shown) {
  const { bounds, counts } = distribution;
  const [low, high] = [bounds[0], bounds.at(-1)];
  const [height, base, top] = [132, 104, 8];
  const x = (value) => 6 + (WIDTH - 12) * (value - low) / (high - low || 1);
  const most = Math.log1p(Math.max(...counts, 1));
  const y = (number) => base - (base - top) * Math.log1p(number) / most;
  const bars = counts.map((number, index) => number > 0 && s("rect", {
    class: "bar", x: x(bounds[index]), y: y(number), width: Math.max(1, x(bounds[index + 1]) - x(bounds[index]) - 0.6),
    height: base - y(number),
  }, s("title", {}, `${plural(number, "sequence")} from ${score(bounds[index])} to ${score(bounds[index + 1])}`)));
  const marks = shown.map((value) => s("line", {
    class: value > 0 ? "tick positive" : "tick negative", x1: x(value), x2: x(value), y1: base + 2,
    y2: base + (value > 0 ? 10 : 7),
  }));
  const law = distribution.power_law;
  const all = counts.reduce((sum, number) => sum + number, 0);
  return drawing(height,
    `The scores of ${plural(all, "sequence")}, from ${score(low)} to ${score(high)}; most are near zero`,
    bars,
    law && tailLine(law, bounds, x, y),
    s("line", { class: "axis", x1: 0, x2: WIDTH, y1: base + 0.5, y2: base + 0.5 }),
    low < 0 && high > 0 && s("line", { class: "zero", x1: x(0), x2: x(0), y1: top, y2: base }),
    marks,
    s("text", { x: 6, y: height - 6 }, score(low)),
    low < 0 && high > 0 && x(0) > 70 && x(0) < WIDTH - 70
      && s("text", { x: x(0), y: height - 6, "text-anchor": "middle" }, "0"),
    s("text", { x: WIDTH - 6, y: height - 6, "text-anchor": "end" }, score(high)),
    s("text", { x: WIDTH - 6, y: top + 6, "text-anchor": "end" },
      `at most ${count(Math.max(...counts))} in a bar (log scale)`));
}

// How many sequences a power law puts into each bar. The exponent is that of the density: in the tail, P(score > s)
// falls as s to the power of 1 - exponent.
function tailLine({ exponent, from, sequences }, bounds, x, y) {
  const above = (value) => sequences * (Math.max(value, from) / from) ** (1 - exponent);
  const points = bounds.slice(0, -1).flatMap((bound, index) => {
    const next = bounds[index + 1];
    return bound >= from ? [`${x((bound + next) / 2)},${y(above(bound) - above(next))}`] : [];
  });
  return points.length > 1 && s("polyline", { class: "tail", points: points.join(" ") });
}

/**
 * Named amounts, as bars.
 *
 * @param {{name: string, value: number, text: string}[]} rows
 */
export function shareBars(rows, label) {
  const most = Math.max(...rows.map((row) => Math.abs(row.value)), Number.MIN_VALUE);
  return h("ul", { class: "shares", "aria-label": label }, rows.map((row) => h("li", {},
    h("span", { class: "name" }, h("bdi", {}, row.name)),
    h("span", { class: "value" }, row.text),
    h("span", {
      class: `meter ${row.value >= 0 ? "positive" : "negative"}`, style: { "--share": Math.abs(row.value) / most },
      "aria-hidden": "true",
    }))));
}

/**
 * Sequences that two rankings have in common, joined by lines.
 *
 * @param {{left: number, right: number, name: string}[]} pairs Their ranks, from 1.
 */
export function rankLines(pairs, length) {
  const rows = Math.min(length, 40);
  const height = 24 + rows * 12;
  const y = (rank) => 18 + (rank - 0.5) * (height - 24) / length;
  return drawing(height, `${plural(pairs.length, "sequence")} in both rankings, joined by lines`,
    s("text", { x: 40, y: 10, "text-anchor": "middle" }, "first"),
    s("text", { x: WIDTH - 40, y: 10, "text-anchor": "middle" }, "second"),
    pairs.map(({ left, right, name }) => s("g", { class: left === right ? "same" : "moved" },
      s("title", {}, `${name}: ${left} and ${right}`),
      s("line", { x1: 40, x2: WIDTH - 40, y1: y(left), y2: y(right) }),
      s("circle", { cx: 40, cy: y(left), r: 2.5 }), s("circle", { cx: WIDTH - 40, cy: y(right), r: 2.5 }),
      s("text", { x: 32, y: y(left) + 3, "text-anchor": "end" }, left),
      s("text", { x: WIDTH - 32, y: y(right) + 3 }, right))));
}

/** Bars on both sides of a line, one per column. */
export function columns(values, names, scale, label) {
  const [height, middle] = [44, 22];
  const step = WIDTH / values.length;
  return s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label,
    class: "chart columns" },
    s("line", { class: "axis", x1: 0, x2: WIDTH, y1: middle, y2: middle }),
    values.map((value, index) => {
      const length = scale > 0 ? (middle - 2) * Math.abs(value) / scale : 0;
      return s("rect", {
        class: value >= 0 ? "positive" : "negative", x: index * step + step * 0.12, width: step * 0.76,
        y: value >= 0 ? middle - length : middle, height: Math.max(length, 0.4),
      }, s("title", {}, `${names[index]}: ${score(value)}`));
    }));
}
