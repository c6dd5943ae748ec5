// Formats numbers, times and names for people.

const MINUS = "−";

const formats = new Map();

/** A number with the given digits after the point. Making a format is slow, so each is made only once. */
function fixed(value, digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(value);
}

/** A score with its sign and about three digits: +3,401 or −0.042. */
export function score(value) {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.01 ? 3 : 4;
  const text = size !== 0 && size < 0.0001
    ? size.toExponential(1)
    : fixed(size, digits);
  return sign(value) + text;
}

/** A difference, with as many digits as the numbers that it is between. */
export function difference(value, like) {
  const digits = Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.max(Math.abs(like), 1e-4)))));
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? "0" : sign(value) + fixed(Number(text), digits);
}

export function sign(value) {
  return value > 0 ? "+" : value < 0 ? MINUS : "";
}

export function count(value) {
  return value === null || value === undefined ? "?" : fixed(value, 0);
}

/** "1 sequence", "20 sequences". */
export function plural(value, noun) {
  const form = value === 1 ? noun : noun.endsWith("y") ? noun.replace(/y$/, "ies") : `${noun}s`;
  return `${count(value)} ${form}`;
}

/** A probability in per cent, from its logarithm. */
export function probability(logProbability) {
  const percent = 100 * Math.exp(logProbability);
  if (percent >= 99.95) return "nearly 100\u202f%";
  if (percent >= 1) return `${percent.toPrecision(2)}\u202f%`.replace(/e\+?\d+/, "");
  if (percent >= 0.001) return `${percent.toPrecision(1)}\u202f%`;
  const odds = 1 / Math.exp(logProbability);
  return `1 in ${odds.toLocaleString("en", { maximumSignificantDigits: 2, notation: "compact" })}`;
}

/** A share, in per cent. */
export function percent(share) {
  const value = 100 * share;
  return `${value >= 9.95 || value === 0 ? Math.round(value) : value.toPrecision(value < 0.095 ? 1 : 2)}\u202f%`;
}

/** How much likelier the likelier of two things is, from the difference of their log-probabilities: "1.6 times as likely". */
export function ratio(nats) {
  const times = Math.exp(Math.abs(nats));
  if (times >= 1e6) return "more than a million times as likely";
  const text = times >= 100 ? times.toLocaleString("en", { maximumSignificantDigits: 2 })
    : times.toFixed(times < 1.1 ? 3 : times < 10 ? 2 : 0);
  return `${text} times as likely`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

export function bytes(value) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let step = 0;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step === 0 ? value : value.toPrecision(3)} ${units[step]}`;
}

/** "3.1 million". */
export function large(value) {
  return value.toLocaleString("en", { notation: "compact", compactDisplay: "long", maximumFractionDigits: 1 });
}

/** "just now", "5 min ago", or the date. */
export function ago(time, now = Date.now()) {
  const past = (now - Date.parse(time)) / 1000;
  if (past < 45) return "just now";
  if (past < 3600) return `${Math.round(past / 60)} min ago`;
  if (past < 86400) return `${Math.round(past / 3600)} h ago`;
  return new Date(time).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

/** White space that would not be seen, made seen: for single tokens. */
export function visible(text) {
  if (text === "") return "\u2205";
  return text.replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5")
    .replace(/^ +| +$/g, (run) => "·".repeat(run.length));
}

/** The beginning of a text. */
export function clip(text, length) {
  const symbols = [...text];
  return symbols.length <= length ? text : `${symbols.slice(0, length - 1).join("")}…`;
}
