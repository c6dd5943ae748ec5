// Lets the model continue the prompt, and lets the reader choose the tokens to explain.

import { complete } from "./api.js";
import { announce, field, h, replace } from "./dom.js";
import { probability, visible } from "./format.js";
import { codePoints } from "./spans.js";

/**
 * The part of the form that lets the model continue.
 *
 * @param {{prompt: string}} draft
 * @param {AbortSignal} signal
 * @param {(prompt: string, completion: string, spans: import("./spans.js").Span[]) => void} choose Takes the
 *   question: the prompt, the completion, and the parts of the completion to explain, or no parts to explain all of it.
 */
export function chooseSpan(draft, signal, choose) {
  const controls = {
    temperature: h("input", { value: "0", inputmode: "decimal" }),
    seed: h("input", { value: "0", inputmode: "numeric" }),
    length: h("input", { value: "16", inputmode: "numeric" }),
  };
  const said = h("div", { class: "said-tokens" });
  const button = h("button", { type: "button", onclick: run }, "Let the model continue");
  return h("div", { class: "continue" },
    h("div", { class: "actions" }, button,
      h("details", {}, h("summary", {}, "Settings"),
        h("div", { class: "row" },
          field("Temperature", controls.temperature, "0 always picks the likeliest token."),
          field("Seed", controls.seed), field("Tokens", controls.length)))),
    said);

  async function run() {
    button.disabled = true;
    try {
      const prompt = draft.prompt;
      const answer = await complete({
        prompt, max_tokens: Number(controls.length.value), temperature: Number(controls.temperature.value),
        seed: Number(controls.seed.value),
      }, signal);
      replace(said, spanChooser(prompt, answer.tokens, choose));
      announce(`The model says: ${answer.completion}`);
    } catch (error) {
      if (!signal.aborted) replace(said, h("p", { class: "warning", role: "alert", dir: "auto" }, error.message));
    } finally {
      button.disabled = false;
    }
  }
}

/** Tokens to choose from: the first press begins a span, the second ends it. */
function spanChooser(prompt, tokens, choose) {
  let span = { from: 0, to: tokens.length - 1, isOpen: false };
  const buttons = tokens.map((token, index) => h("button", {
    type: "button", class: "token", title: `probability ${probability(token.log_probability)} here`,
    onclick: () => press(index),
  }, h("bdi", {}, visible(token.text))));
  const use = h("button", { type: "button", onclick: take }, "Explain this");
  const part = h("button", { type: "button", onclick: takePart }, "Explain only this part");
  show();
  return h("div", { role: "group", "aria-label": "The model’s continuation, token by token" },
    h("p", { class: "hint" }, "This is the model’s continuation. Press the first and the last token ",
      "of the part to explain."),
    h("div", { class: "tokens", dir: "auto" }, buttons),
    h("div", { class: "actions" }, use, part));

  function press(index) {
    span = span.isOpen && index >= span.from
      ? { ...span, to: index, isOpen: false }
      : { from: index, to: index, isOpen: true };
    show();
  }

  function show() {
    buttons.forEach((button, index) =>
      button.setAttribute("aria-pressed", String(index >= span.from && index <= span.to)));
  }

  function text(from, to) {
    return tokens.slice(from, to).map((token) => token.text).join("");
  }

  /** The text before the span becomes part of the prompt; the text after it is dropped. */
  function take() {
    choose(prompt + text(0, span.from), text(span.from, span.to + 1), []);
  }

  /** The completion is the whole continuation, of which only the span is explained. */
  function takePart() {
    const start = codePoints(text(0, span.from));
    choose(prompt, text(0), [{ start, end: start + codePoints(text(span.from, span.to + 1)) }]);
  }
}
