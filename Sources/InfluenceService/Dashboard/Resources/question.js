// A question as text: the prompt, with the completion marked.

import { contentOf } from "./chat.js";
import { h } from "./dom.js";
import { clip, plural } from "./format.js";
import { turnsOf, wholeText } from "./loss.js";
import { pieces } from "./spans.js";

/** A completion, marked except for its leading space, which would look like part of the prompt's last word. */
export function said(completion) {
  const space = /^\s*/.exec(completion)[0];
  return [space, h("mark", { class: "said" }, completion.slice(space.length) || "\u2420")];
}

/** Prompt and completion as one paragraph, with the explained parts of the completion marked. */
export function joined(prompt, completion, spans = null) {
  return h("p", { class: "joined", dir: "auto" }, prompt, completion && (spans?.length
    ? pieces(completion, spans).map((piece) => (piece.isChosen ? said(piece.text) : piece.text))
    : said(completion)));
}

/** A behaviour’s parts. In a result, `measurement` is a number. */
function partsIn({ measurement, parts }) {
  return Array.isArray(measurement) ? measurement : parts;
}

/** What stands for a question in lists: the first pair of a behaviour and the number of the others, or a chat's last two turns. */
export function labelOf(query) {
  const parts = partsIn(query);
  if (parts) return { ...labelOf(parts[0]), others: parts.length - 1 };
  if (query.messages) {
    const [before, last] = [undefined, ...query.messages].slice(-2);
    return { prompt: before ? contentOf(before) : "", completion: contentOf(last), others: 0 };
  }
  return { prompt: query.prompt, completion: query.completion, others: query.others ?? 0 };
}

/** The same as a text. */
export function labelText(query) {
  const { prompt, completion, others } = labelOf(query);
  return `${prompt}${completion}${others > 0 ? ` and ${plural(others, "other")}` : ""}`;
}

/** A question, with its contrast if it has one. */
export function questionText(query) {
  const { prompt, completion, spans, messages } = query;
  if (partsIn(query)) {
    const first = labelOf(query);
    return [
      joined(clip(first.prompt, 600), clip(first.completion, 300)),
      first.others > 0 && h("p", { class: "hint" }, `and ${plural(first.others, "other")}`)];
  }
  if (messages) return turns(messages);
  const other = query.contrast?.completion ?? query.contrast;
  return [
    rendered(prompt, completion) ?? joined(prompt, completion, spans),
    other && h("p", { class: "joined against", dir: "auto" },
      h("span", { class: "rather" }, "rather than"), " ",
      h("bdi", {}, h("span", { class: "other" }, other.trim() || "\u2420"))),
  ];
}

/** The turns of a chat that is asked about. */
function turns(messages) {
  return h("div", { class: "chat joined" }, messages.map((message, index) =>
    h("div", { class: "turn", dataset: { role: message.role } },
      h("p", { class: "role" }, h("strong", {}, message.role)),
      h("p", { dir: "auto" }, index === messages.length - 1 ? said(contentOf(message)) : contentOf(message)))));
}

/** A prompt and a completion that a chat template has written, as a chat; null if none has. */
function rendered(prompt, completion) {
  const text = `${prompt}${completion}`;
  return turnsOf(text).length > 0 ? wholeText([prompt, said(completion)], { text }, { class: "joined" }) : null;
}

/** The questions of a job. */
export function questionsOf(queries) {
  const short = (query) => (query.measurement || query.messages ? query : {
    ...query, prompt: clip(query.prompt, 600), completion: clip(query.completion, 300),
    contrast: query.contrast && clip(query.contrast, 300),
  });
  return h("div", { class: "preview" },
    queries.slice(0, 3).map((query) => questionText(short(query))),
    queries.length > 3 && h("p", { class: "hint" }, `and ${plural(queries.length - 3, "other query")}`));
}
