// Parts of a completion: in code points in the address and the API, in UTF-16 in the page's own strings.

/** @typedef {{start: number, end: number}} Span  In code points, the end excluded. */

/** As the address has them: "1-6.8-12". @returns {Span[]} */
export function spansFrom(text) {
  return text.split(".").flatMap((part) => {
    const [start, end] = part.split("-").map(Number);
    return Number.isInteger(start) && Number.isInteger(end) && start < end ? [{ start, end }] : [];
  });
}

/** For the address, in order and without overlaps. @param {Span[]} spans */
export function spansText(spans) {
  const merged = [];
  for (const { start, end } of [...spans].sort((one, other) => one.start - other.start)) {
    const last = merged.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged.map(({ start, end }) => `${start}-${end}`).join(".");
}

/** The number of code points before an index of a string of the page. */
export function codePoints(text, utf16 = text.length) {
  return [...text.slice(0, utf16)].length;
}

/** A text in pieces, each of which is in a span or in none. @returns {{text: string, isChosen: boolean}[]} */
export function pieces(text, spans) {
  const symbols = [...text];
  const isChosen = (place) => spans.some(({ start, end }) => place >= start && place < end);
  const made = [];
  symbols.forEach((symbol, place) => {
    const chosen = isChosen(place);
    if (made.at(-1)?.isChosen === chosen) made.at(-1).text += symbol;
    else made.push({ text: symbol, isChosen: chosen });
  });
  return made;
}
