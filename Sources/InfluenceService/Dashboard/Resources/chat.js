// A question that is a chat: its turns in the form. The model's own template writes them as a prompt and a completion.

import { announce, h, identifier, replace } from "./dom.js";

/** @typedef {{role: string, content: string}} Message */

const roles = ["system", "user", "assistant"];
const empty = [{ role: "user", content: "" }, { role: "assistant", content: "" }];

/** The messages of a draft, which has them as JSON. @returns {Message[]} */
export function messagesOf(text) {
  try {
    const messages = JSON.parse(text);
    if (Array.isArray(messages) && messages.length > 0 && messages.every((message) => message?.role)) return messages;
  } catch {
    // An address can hold anything.
  }
  return empty.map((message) => ({ ...message }));
}

/** A message's content as text: the texts of a list of parts, joined. */
export function contentOf({ content }) {
  if (Array.isArray(content)) return content.map((part) => part?.text ?? "").join("");
  return typeof content === "string" ? content : "";
}

/** Why a chat cannot be asked about; null if it can. */
export function faultOf(messages) {
  const last = messages.at(-1);
  if (last.role !== "assistant") return "The last turn must be the assistant’s: it is what you want to explain.";
  return contentOf(last) === "" ? "Write what the assistant said in the last turn." : null;
}

/**
 * The fields for a chat.
 *
 * @param {{chat: string}} draft
 * @param {() => void} changed Called when the draft has changed.
 * @returns {{element: HTMLElement, complain: (reason: string, index?: number) => void}} `complain` shows what is wrong, at a
 *   turn if it is known.
 */
export function chatFields(draft, changed) {
  let messages = messagesOf(draft.chat);
  const list = h("ol", { class: "turns" });
  const fault = h("p", { class: "warning", role: "alert", id: identifier("fault") });
  const add = h("button", { type: "button", onclick: append }, "Add a turn");
  show();
  return {
    element: h("div", { class: "kind", role: "group", "aria-label": "Chat" }, list, h("div", { class: "actions" }, add), fault,
      h("p", { class: "hint" }, "The last turn, an assistant’s, is explained. The model’s own chat template writes "
        + "the turns as the model reads them.")),
    complain(reason, index = messages.length - 1) {
      fault.textContent = reason;
      const content = list.children[index]?.querySelector("textarea");
      content?.setAttribute("aria-invalid", "true");
      content?.focus();
    },
  };

  function show() {
    replace(list, messages.map(turn));
  }

  function keep() {
    draft.chat = JSON.stringify(messages);
    fault.textContent = "";
    list.querySelectorAll("[aria-invalid]").forEach((control) => control.removeAttribute("aria-invalid"));
    changed();
  }

  function turn(message, index) {
    const name = `Turn ${index + 1}`;
    const isLast = index === messages.length - 1;
    const known = roles.includes(message.role) ? roles : [...roles, message.role];
    return h("li", { class: "turn", dataset: { role: message.role } },
      h("div", { class: "actions" },
        h("select", {
          "aria-label": `${name}: role`,
          onchange: (event) => {
            message.role = event.target.value;
            event.target.closest("li").dataset.role = message.role;
            keep();
          },
        }, known.map((role) => h("option", { value: role, selected: role === message.role }, role))),
        isLast && h("span", { class: "hint" }, "is explained"),
        messages.length > 1 && h("button", {
          type: "button", class: "quiet", "aria-label": `Remove turn ${index + 1}`, onclick: () => remove(index),
        }, "Remove")),
      h("textarea", {
        "aria-label": `${name}: content`, rows: 2, dir: "auto", spellcheck: "false", value: contentOf(message),
        "aria-describedby": fault.id,
        oninput: (event) => { message.content = event.target.value; keep(); },
      }));
  }

  function append() {
    messages.push({ role: messages.at(-1).role === "user" ? "assistant" : "user", content: "" });
    change(messages.length - 1, `Turn ${messages.length} added`);
  }

  function remove(index) {
    messages = messages.filter((_, place) => place !== index);
    change(Math.min(index, messages.length - 1), `Turn ${index + 1} removed`);
  }

  function change(focused, news) {
    keep();
    show();
    list.children[focused].querySelector("textarea").focus();
    announce(news);
  }
}
