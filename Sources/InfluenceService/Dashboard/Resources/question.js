// A question as text: the prompt, with the completion marked.

import { h } from "./dom.js";
import { clip, plural } from "./format.js";
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

/** A question, with its contrast if it has one. */
export function questionText({ prompt, completion, spans, contrast }) {
  const other = contrast?.completion ?? contrast;
  return [
    joined(prompt, completion, spans),
    other && h("p", { class: "joined against", dir: "auto" },
      h("span", { class: "rather" }, "rather than"), " ",
      h("bdi", {}, h("span", { class: "other" }, other.trim() || "\u2420"))),
  ];
}

/** The questions of a job. */
export function questionsOf(queries) {
  return h("div", { class: "preview" },
    queries.slice(0, 3).map((query) => questionText({
      prompt: clip(query.prompt, 600), completion: clip(query.completion, 300), spans: query.spans,
      contrast: query.contrast && clip(query.contrast, 300),
    })),
    queries.length > 3 && h("p", { class: "hint" }, `and ${plural(queries.length - 3, "other query")}`));
}
