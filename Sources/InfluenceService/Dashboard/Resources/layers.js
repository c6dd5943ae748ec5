// Influence by layer: one row per kind of layer, one column per block of the model.

import { h } from "./dom.js";
import { columns } from "./charts.js";
import { score } from "./format.js";

/** @typedef {{name: string, score: number}} LayerScore */

/** The block and the kind of layer in a tensor's name: "model.layers.3.mlp.up_proj" is 3 and "mlp.up_proj". */
export function parse(name) {
  const match = /^(?:.*?\.)?(\d+)\.(.+)$/.exec(name);
  return match ? { block: Number(match[1]), kind: match[2] } : { block: 0, kind: name };
}

/** Layers' scores summed over sequences. @returns {LayerScore[]} */
export function summed(sequences) {
  const sums = new Map();
  for (const sequence of sequences) {
    for (const { name, score: value } of sequence.layers ?? []) sums.set(name, (sums.get(name) ?? 0) + value);
  }
  return [...sums].map(([name, value]) => ({ name, score: value }));
}

/** @param {LayerScore[]} layers */
export function layerChart(layers, label = "Influence by layer") {
  const kinds = new Map();
  const blocks = [...new Set(layers.map((layer) => parse(layer.name).block))].sort((one, other) => one - other);
  for (const layer of layers) {
    const { block, kind } = parse(layer.name);
    if (!kinds.has(kind)) kinds.set(kind, blocks.map(() => 0));
    kinds.get(kind)[blocks.indexOf(block)] += layer.score;
  }
  const scale = Math.max(...layers.map((layer) => Math.abs(layer.score)), 0);
  const most = [...layers].sort((one, other) => Math.abs(other.score) - Math.abs(one.score))[0];
  return h("figure", { class: "layers" },
    h("figcaption", {}, label, h("span", { class: "hint" }, ` strongest in ${most.name}: ${score(most.score)}`)),
    [...kinds].map(([kind, values]) => h("div", { class: "layer-row" },
      h("span", { class: "name", title: kind }, kind.split(".").at(-1)),
      columns(values, blocks.map((block) => `${kind}, block ${block}`), scale,
        `${kind}: ${values.map((value, index) => `block ${blocks[index]} ${score(value)}`).slice(0, 48).join(", ")}`))),
    h("div", { class: "layer-row", "aria-hidden": "true" }, h("span", { class: "name" }, "block"),
      h("span", { class: "ends" }, h("span", {}, blocks[0]), h("span", {}, blocks.at(-1)))));
}
