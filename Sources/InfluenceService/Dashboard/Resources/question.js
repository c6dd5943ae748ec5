// A question as text: the prompt, and what was said marked.

import { h } from "./dom.js";
import { clip, plural } from "./format.js";

/** A completion marked; the space it begins with is not, as it would look like a part of the prompt's last word. */
export function said(completion) {
  const space = /^\s*/.exec(completion)[0];
  return [space, h("mark", { class: "said" }, completion.slice(space.length) || "\u2420")];
}

/** Prompt and completion as one paragraph. */
export function joined(prompt, completion) {
  return h("p", { class: "joined", dir: "auto" }, prompt, completion && said(completion));
}

/** The questions of a job. */
export function questionsOf(queries) {
  return h("div", { class: "preview" },
    queries.slice(0, 3).map((query) => joined(clip(query.prompt, 600), clip(query.completion, 300))),
    queries.length > 3 && h("p", { class: "hint" }, `and ${plural(queries.length - 3, "other query")}`));
}
