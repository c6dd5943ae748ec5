// Asks: a prompt, what the model said or would say, and what is looked for.

import { ask, CallError, describe, newKey } from "./api.js";
import { announce, copyButton, field, h, replace } from "./dom.js";
import { chooseSpan } from "./complete.js";
import { curl, draftFrom, itemsOf, python, requestOf } from "./query.js";
import { joined } from "./question.js";
import { go, keepInAddress, link } from "./router.js";
import { token } from "./session.js";

// Questions that the embedded model knows something of.
const examples = [
  ["Hamlet is a tragedy written by William", " Shakespeare"],
  ["Paris is the capital of", " France"],
  ["Jupiter is the largest", " planet"],
];

// What a server with a gradient index can look among, too.
const indexed = [
  ["index", "sequences whose gradients are alike (fast)"], ["both", "by gradients and words together (fast)"],
];

export async function showAsk(main, { items }, signal) {
  const draft = draftFrom(items);
  const change = (name) => (event) => {
    draft[name] = event.target.value;
    showPreview();
    keepInAddress(itemsOf(draft));
  };
  const area = (name, rows) =>
    h("textarea", { rows, dir: "auto", spellcheck: "false", value: draft[name], oninput: change(name), name });
  const input = (name, attributes = {}) =>
    h("input", { autocomplete: "off", value: draft[name], oninput: change(name), name, ...attributes });
  const select = (name, options) => h("select", { onchange: change(name), name },
    options.map(([value, text]) => h("option", { value, selected: value === draft[name] }, text)));

  const lookAmong = select("prefilter", [
    ["tfidf", "sequences with words in common (fast)"], ...(indexed.some(([name]) => name === draft.prefilter) ? indexed : []),
    ["all", "every sequence of the corpus (slow)"],
  ]);
  const prompt = area("prompt", 3);
  const completion = area("completion", 2);
  const preview = h("div", { class: "preview", "aria-live": "polite" });
  const refusal = h("div");
  const submit = h("button", { type: "submit", class: "primary" }, "Find the sequences");
  const commands = h("details", { ontoggle: showCommands }, h("summary", {}, "The same from a shell or a notebook"));
  const starters = h("div", { class: "starters", hidden: true });

  const form = h("form", { class: "ask", onsubmit: send, novalidate: true },
    h("section", {},
      field("Prompt", prompt, "What stands before it. The prompt itself is not explained."),
      chooseSpan(draft, signal, (start, said) => {
        [draft.prompt, draft.completion] = [start, said];
        prompt.value = start;
        completion.value = said;
        showPreview();
        keepInAddress(itemsOf(draft));
        completion.focus();
      }),
      field("Completion", completion,
        "What the model said, and you want explained. It is joined to the prompt as it is."),
      preview,
      starters),
    h("section", { class: "options" },
      field("Look among", lookAmong, "Only what is looked at can be found: sequences that say the same in other words "
        + "share few with the question."),
      field("Look for", select("direction", [
        ["both", "what made it likelier, and less likely"], ["positive", "what made it likelier"],
        ["negative", "what made it less likely"],
      ])),
      field("Show, each way", input("top", { inputmode: "numeric" })),
      h("details", { open: Object.entries(itemsOf(draft)).some(([name, value]) => value && more.includes(name)) },
        h("summary", {}, "More options"),
        field("Instead of", input("contrast", { dir: "auto" }),
          "A contrasting completion, such as \u201c Marlowe\u201d. Both are asked, and held against each other."),
        field("Sequences to look at", input("limit", { inputmode: "numeric" }),
          "How many are scored, unless it is every one."),
        field("Source", input("source"), "Only sequences of this source."),
        field("Rank", input("rank"),
          "To which the question\u2019s gradient is compressed for the first pass; \u201cfull\u201d compresses "
          + "nothing."),
        field("Scored again in full", input("rescore", { inputmode: "numeric" })),
        field("Damping", input("damping", { inputmode: "decimal" }),
          "Empty for a tenth of each layer\u2019s mean eigenvalue."),
        field("Curvature by", select("estimator", [
          ["ekfac", "the fitted factors (EK-FAC)"], ["astra", "an iteration that starts from them (ASTRA)"],
          ["identity", "nothing: plain products of gradients"],
        ]), "ASTRA takes in what the factors leave out, and takes longer. Plain products are not in nats."))),
    h("div", { class: "actions" }, submit),
    refusal,
    commands);

  replace(main,
    h("h1", {}, "Which training sequences made the model say that?"),
    h("p", { class: "lead" },
      "Give a prompt and a completion. Tributary ranks the training sequences that made the completion likelier "
      + "or less likely."),
    form);
  showPreview();
  offerExamples();
  offerIndex();

  function showPreview() {
    const joins = draft.prompt && draft.completion && !/\s$/.test(draft.prompt) && !/^\s/.test(draft.completion);
    replace(preview,
      (draft.prompt || draft.completion) && joined(draft.prompt, draft.completion),
      joins && /^[\p{L}\p{N}]/u.test(draft.completion) && h("p", { class: "hint" },
        "There is no space between the two. ",
        h("button", { type: "button", class: "link", onclick: addSpace }, "Put one there")));
    if (commands.open) showCommands();
  }

  function addSpace() {
    draft.completion = completion.value = ` ${draft.completion}`;
    showPreview();
    keepInAddress(itemsOf(draft));
    completion.focus();
  }

  function showCommands() {
    const parts = [["curl", curl], ["Python", python]].map(([name, write]) => {
      const text = write(requestOf(draft), location.origin, token() !== null);
      return h("figure", { class: "code" },
        h("figcaption", {}, name, copyButton(() => text, `Copy ${name}`)),
        h("pre", { tabindex: 0 }, h("code", {}, text)));
    });
    replace(commands, commands.firstElementChild, parts);
  }

  async function offerExamples() {
    const model = await describe().catch(() => null);
    if (signal.aborted || model?.name !== "default") return;
    starters.hidden = false;
    replace(starters, h("span", {}, "Try "), examples.map(([start, said]) =>
      h("button", { type: "button", class: "chip", onclick: () => {
        [draft.prompt, draft.completion] = [start, said];
        [prompt.value, completion.value] = [start, said];
        showPreview();
        keepInAddress(itemsOf(draft));
        submit.focus();
      } }, start, h("strong", {}, said))));
  }

  async function offerIndex() {
    const model = await describe().catch(() => null);
    if (signal.aborted || !model?.index || lookAmong.options.length > 2) return;
    lookAmong.lastElementChild.before(...indexed.map(([value, text]) => h("option", { value }, text)));
  }

  async function send(event) {
    event.preventDefault();
    submit.disabled = true;
    replace(refusal);
    form.querySelectorAll("[aria-invalid]").forEach((control) => control.removeAttribute("aria-invalid"));
    try {
      const job = await posted(requestOf(draft), signal);
      go(link(["jobs", job.id], { then: draft.contrast ? "compare" : null }));
    } catch (error) {
      if (signal.aborted) return;
      submit.disabled = false;
      refuse(error);
    }
  }

  function refuse(error) {
    replace(refusal, h("p", { class: "warning", role: "alert", dir: "auto" }, error.message));
    announce(error.message);
    const name = controls[error.field?.replace(/^\[\d+\]\.?/, "")];
    const control = name && form.elements[/^\[1\]/.test(error.field) && name === "completion" ? "contrast" : name];
    if (!control) return;
    control.closest("details")?.setAttribute("open", "");
    control.setAttribute("aria-invalid", "true");
    control.focus();
  }
}

const more = ["contrast", "limit", "source", "rank", "rescore", "damping", "estimator"];
/** Which control holds a field of the request. */
const controls = {
  prompt: "prompt", completion: "completion", top_k: "top", direction: "direction", rank: "rank", rescore: "rescore",
  damping: "damping", estimator: "estimator", "candidates.limit": "limit", "candidates.source": "source", "candidates.prefilter": "prefilter",
};

/** Posts a question; where no answer comes, again with the same key, so that it is asked once. */
async function posted(request, signal) {
  const key = newKey();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(request, key);
    } catch (error) {
      if (!(error instanceof CallError) || error.status !== 0 || attempt === 3 || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * attempt));
    }
  }
}
