// Reads the part of the Prometheus text format that the page needs.

/** @typedef {{labels: Object<string, string>, value: number}} Sample */

/** The samples of a text, by name. @returns {Map<string, Sample[]>} */
export function parseMetrics(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match || line.startsWith("#")) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, letter) => (letter === "n" ? "\n" : letter));
    }
    if (!families.has(match[1])) families.set(match[1], []);
    families.get(match[1]).push({ labels, value: Number(match[3].replace("Inf", "Infinity")) });
  }
  return families;
}

/** The sum of a metric's samples with the given labels; null if there are none. */
export function total(families, name, labels = {}) {
  const found = (families.get(name) ?? []).filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value));
  return found.length ? found.reduce((sum, sample) => sum + sample.value, 0) : null;
}

/** A quantile of a histogram: the upper bound of the bucket that contains it. */
export function quantile(families, name, share) {
  const sums = new Map();
  for (const { labels, value } of families.get(`${name}_bucket`) ?? []) {
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    sums.set(bound, (sums.get(bound) ?? 0) + value);
  }
  const bounds = [...sums.keys()].sort((one, other) => one - other);
  const all = sums.get(Infinity) ?? 0;
  return all === 0 ? null : bounds.find((bound) => sums.get(bound) >= share * all) ?? null;
}
