// The form for a question: the prompt, what the model said or would say, and what to look for.

import { ask, CallError, describe, newKey } from "./api.js";
import { behaviourFields, partsOf } from "./behaviour.js";
import { chatFields, faultOf, messagesOf } from "./chat.js";
import { announce, copyButton, field, h, replace } from "./dom.js";
import { chooseSpan } from "./complete.js";
import { curl, defaultRank, draftFrom, itemsOf, python, requestOf } from "./query.js";
import { questionText } from "./question.js";
import { codePoints, pieces, spansFrom, spansText } from "./spans.js";
import { go, keepInAddress, link } from "./router.js";
import { token } from "./session.js";

// Questions about which the embedded model knows something.
const examples = [
  ["Hamlet is a tragedy written by William", " Shakespeare"],
  ["Paris is the capital of", " France"],
  ["Jupiter is the largest", " planet"],
];

// Further candidates on a server with a gradient index.
const indexed = [
  ["index", "sequences with similar gradients (fast)"], ["both", "by gradients and words combined (fast)"],
];

export async function showAsk(main, { items }, signal) {
  const draft = draftFrom(items);
  const change = (name) => (event) => {
    draft[name] = event.target.value;
    changed();
  };
  const changed = () => {
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
    ["tfidf", "sequences that share words (fast)"],
    ...(indexed.some(([name]) => name === draft.prefilter) ? indexed : []),
    ["all", "every sequence of the corpus (slow)"],
  ]);
  const prompt = area("prompt", 3);
  const completion = area("completion", 2);
  completion.addEventListener("input", () => {
    // The parts belonged to another text.
    if (draft.spans) chooseParts([]);
  });
  const partly = h("div", { class: "partly" });
  const contrast = input("contrast", { dir: "auto" });
  const rank = input("rank");
  const behaviour = behaviourFields(draft, changed);
  const chat = chatFields(draft, changed);
  const preview = h("div", { class: "preview", "aria-live": "polite" });
  const refusal = h("div");
  const submit = h("button", { type: "submit", class: "primary" }, "Find the sequences");
  const commands = h("details", { ontoggle: showCommands },
    h("summary", {}, "The same request from a shell or a notebook"));
  const starters = h("div", { class: "starters", hidden: true });

  const single = h("div", { class: "kind" },
    field("Prompt", prompt, "The text before the completion. The prompt itself is not explained."),
    chooseSpan(draft, signal, (start, said, spans) => {
      [draft.prompt, draft.completion] = [start, said];
      prompt.value = start;
      completion.value = said;
      chooseParts(spans);
      completion.focus();
    }),
    field("Completion", completion,
      "What the model said, and what you want to explain. It is appended to the prompt as it is."),
    partly);
  const against = field("Rather than", contrast,
    "Optional: another completion, such as “ Marlowe”. Scores then say what made the model say the first "
    + "rather than the second.");
  const tooLong = field("Chats longer than the model’s context", select("drop", [
    ["no", "are refused"], ["yes", "lose their first turns"],
  ]), "A system message at the beginning stays, and so does the last turn.");
  const kinds = { "": single, behaviour: behaviour.element, chat: chat.element };
  if (!Object.hasOwn(kinds, draft.kind)) draft.kind = "";
  const choice = h("div", { class: "kinds", role: "group", "aria-label": "Kind of question" },
    [["", "One completion"], ["behaviour", "A behaviour: many prompts"], ["chat", "A chat"]].map(([kind, text]) =>
      h("button", {
        type: "button", class: "chip", dataset: { kind }, hidden: kind === "chat", onclick: () => chooseKind(kind),
      }, text)));
  const form = h("form", { class: "ask", onsubmit: send, novalidate: true },
    h("section", {}, choice, Object.values(kinds), against, preview, starters),
    h("section", { class: "options" },
      field("Look among", lookAmong, "Only these sequences can be found. Sequences that say the same in other words "
        + "share few words with the question."),
      field("Look for", select("direction", [
        ["both", "what made it likelier or less likely"], ["positive", "what made it likelier"],
        ["negative", "what made it less likely"],
      ])),
      field("Sequences to show in each direction", input("top", { inputmode: "numeric" })),
      h("details", { open: Object.entries(itemsOf(draft)).some(([name, value]) => value && more.includes(name)) },
        h("summary", {}, "More options"),
        field("Sequences to score", input("limit", { inputmode: "numeric" }),
          "Has no effect if every sequence is scored."),
        field("Sample of other sequences", input("probe", { inputmode: "numeric" }),
          "Also scores this many of the other sequences, drawn at random, to estimate what is missed. 100 is "
          + "enough; leave it empty for none."),
        field("Source", input("source"), "Scores only sequences from this source."),
        tooLong,
        field("Rank", rank,
          "The rank of the question’s gradient in the first pass; “auto” keeps 99\u202f% of it, "
          + "and “full” compresses nothing."),
        field("Candidates to score again in full", input("rescore", { inputmode: "numeric" })),
        field("Damping", input("damping", { inputmode: "decimal" }),
          "If empty, a tenth of each layer’s mean eigenvalue."),
        field("Curvature by", select("estimator", [
          ["ekfac", "the fitted factors (EK-FAC)"], ["astra", "an iteration that starts from them (ASTRA)"],
          ["identity", "nothing: plain inner products of gradients"],
        ]), "ASTRA corrects for what the factors leave out, and takes longer. Inner products are not in nats."),
        field("Tokens that become likelier", select("outputs", [
          ["yes", "reported for each sequence shown"], ["no", "not reported"],
        ]), "Those of a sequence’s own tokens that become likelier if the model moves towards the question."))),
    h("div", { class: "actions" }, submit),
    refusal,
    commands);

  replace(main,
    h("h1", {}, "Which training sequences made the model say that?"),
    h("p", { class: "lead" },
      "Enter a prompt and a completion. Tributary ranks the training sequences that made the completion likelier "
      + "or less likely."),
    form);
  showKind();
  showParts();
  showPreview();
  offer();

  function chooseKind(kind) {
    if (draft.rank === defaultRank(draft.kind)) draft.rank = rank.value = defaultRank(kind);
    draft.kind = kind;
    replace(refusal);
    showKind();
    changed();
    kinds[kind].querySelector("textarea").focus();
  }

  function showKind() {
    for (const [kind, part] of Object.entries(kinds)) part.hidden = kind !== draft.kind;
    against.hidden = draft.kind === "behaviour";
    tooLong.hidden = draft.kind === "";
    for (const button of choice.children) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === draft.kind));
    }
    starters.hidden = draft.kind !== "" || starters.childElementCount === 0;
  }

  function showPreview() {
    if (commands.open) showCommands();
    if (draft.kind !== "") {
      const { parts } = draft.kind === "behaviour" ? partsOf(draft.list) : { parts: [] };
      return replace(preview, parts.length > 0 && questionText({ measurement: parts }));
    }
    const joins = draft.prompt && draft.completion && !/\s$/.test(draft.prompt) && !/^\s/.test(draft.completion);
    replace(preview,
      (draft.prompt || draft.completion) && questionText({ ...draft, spans: spansFrom(draft.spans) }),
      joins && /^[\p{L}\p{N}]/u.test(draft.completion) && h("p", { class: "hint" },
        "There is no space between the prompt and the completion. ",
        h("button", { type: "button", class: "link", onclick: addSpace }, "Put one there")),
      /^\s/.test(draft.completion) && /^[\p{L}\p{N}]/u.test(draft.contrast) && h("p", { class: "hint" },
        "The completion begins with a space, and the other completion does not. ",
        h("button", { type: "button", class: "link", onclick: addContrastSpace }, "Put one there")));
  }

  function addSpace() {
    draft.completion = completion.value = ` ${draft.completion}`;
    chooseParts(spansFrom(draft.spans).map(({ start, end }) => ({ start: start + 1, end: end + 1 })));
    completion.focus();
  }

  function addContrastSpace() {
    draft.contrast = contrast.value = ` ${draft.contrast}`;
    showPreview();
    keepInAddress(itemsOf(draft));
    contrast.focus();
  }

  /** Shows which parts of the completion are explained, and offers to add the selected part. */
  function showParts() {
    const chosen = pieces(draft.completion, spansFrom(draft.spans)).filter((piece) => piece.isChosen);
    replace(partly,
      h("button", { type: "button", class: "link", onclick: addSelected },
        chosen.length > 0 ? "Also explain the selected text" : "Explain only the selected text"),
      chosen.length > 0 && h("p", { class: "hint", role: "status" }, "Explained: ",
        chosen.map(({ text }, index) => [index > 0 && ", ", h("bdi", { class: "token" }, text)]),
        ", widened to whole tokens. ",
        h("button", { type: "button", class: "link", onclick: () => chooseParts([]) },
          "Explain the whole completion")));
  }

  function addSelected() {
    const [from, to] = [completion.selectionStart, completion.selectionEnd];
    if (from === to) {
      announce("Select a part of the completion first");
      completion.setAttribute("aria-invalid", "true");
      replace(refusal,
        h("p", { class: "warning", role: "alert" }, "Select a part of the completion, then press this button."));
      completion.focus();
      return;
    }
    const text = completion.value;
    const span = { start: codePoints(text, from), end: codePoints(text, to) };
    completion.removeAttribute("aria-invalid");
    replace(refusal);
    chooseParts([...spansFrom(draft.spans), span]);
    completion.focus();
  }

  function chooseParts(spans) {
    draft.spans = spansText(spans);
    showParts();
    showPreview();
    keepInAddress(itemsOf(draft));
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

  /** Offers what only some models and servers can do. */
  async function offer() {
    const model = await describe().catch(() => null);
    if (signal.aborted) return;
    if (model?.name === "default") offerExamples();
    if (model?.index && lookAmong.options.length === 2) {
      lookAmong.lastElementChild.before(...indexed.map(([value, text]) => h("option", { value }, text)));
    }
    if (model?.chat_template) choice.lastElementChild.hidden = false;
    else if (draft.kind === "chat") chooseKind("");
  }

  function offerExamples() {
    replace(starters, h("span", {}, "Try "), examples.map(([start, said]) =>
      h("button", { type: "button", class: "chip", onclick: () => {
        [draft.prompt, draft.completion] = [start, said];
        [prompt.value, completion.value] = [start, said];
        chooseParts([]);
        submit.focus();
      } }, start, h("strong", {}, said))));
    showKind();
  }

  /** Shows what the page itself can tell to be wrong with the question. */
  function isRefused() {
    if (draft.kind === "behaviour") {
      const { parts, faults: [first] } = partsOf(draft.list);
      if (first) behaviour.complain(first);
      else if (parts.length === 0) behaviour.complain({ line: 1, reason: "enter at least one prompt with its completion" });
      return Boolean(first) || parts.length === 0;
    }
    const fault = draft.kind === "chat" ? faultOf(messagesOf(draft.chat)) : null;
    if (fault) chat.complain(fault);
    return fault !== null;
  }

  async function send(event) {
    event.preventDefault();
    if (isRefused()) return;
    submit.disabled = true;
    replace(refusal);
    form.querySelectorAll("[aria-invalid]").forEach((control) => control.removeAttribute("aria-invalid"));
    try {
      const job = await posted(requestOf(draft), signal);
      go(link(["jobs", job.id]));
    } catch (error) {
      if (signal.aborted) return;
      submit.disabled = false;
      refuse(error);
    }
  }

  function refuse(error) {
    const [, list, index] = /^(measurement|messages)(?:\[(\d+)\])?/.exec(error.field ?? "") ?? [];
    if (list === "measurement" && index && draft.kind === "behaviour") {
      return behaviour.complain({ line: partsOf(draft.list).lines[index], reason: error.message });
    }
    if (list === "messages" && draft.kind === "chat") return chat.complain(error.message, index);
    replace(refusal, h("p", { class: "warning", role: "alert", dir: "auto" }, error.message));
    announce(error.message);
    const name = controls[error.field?.replace(/\[\d+\].*$/, "")];
    const control = name && form.elements[name];
    if (!control) return;
    control.closest("details")?.setAttribute("open", "");
    control.setAttribute("aria-invalid", "true");
    control.focus();
  }
}

const more = ["limit", "probe", "source", "drop", "rank", "rescore", "damping", "estimator", "outputs"];
/** The control for each field of the request. */
const controls = {
  prompt: "prompt", completion: "completion", spans: "completion", contrast: "contrast", top_k: "top",
  direction: "direction", rank: "rank", rescore: "rescore", damping: "damping", estimator: "estimator",
  "candidates.limit": "limit", "candidates.source": "source", "candidates.prefilter": "prefilter",
  "candidates.probe": "probe", drop_turns: "drop",
};

/** Posts a question. If no answer comes, posts it again with the same key, so that only one job is made. */
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
