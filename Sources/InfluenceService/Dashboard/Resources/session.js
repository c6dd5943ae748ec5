// The token, for servers that require one. It is kept as long as the browser's tab, and sent only to this server.

import { h, field } from "./dom.js";

const KEY = "tributary.token";

export function token() {
  return sessionStorage.getItem(KEY);
}

function keep(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  label();
}

const button = document.getElementById("access");

function label() {
  button.textContent = token() ? "Token set" : "Access";
}

/** The fields that every call sends. */
export function credentials() {
  const value = token();
  return value ? { Authorization: `Bearer ${value}` } : {};
}

/** Lets the reader see whether a token is set, and change it. */
export function offerAccess() {
  label();
  button.onclick = () => askForToken(null).then((changed) => { if (changed) location.reload(); });
}

let open = null;

/**
 * Asks for a token.
 *
 * @param {string|null} reason Why, in the server's words.
 * @returns {Promise<boolean>} Whether there is another one now.
 */
export function askForToken(reason) {
  open ??= new Promise((resolve) => {
    const input = h("input", {
      type: "password", autocomplete: "off", spellcheck: "false", value: token() ?? "", placeholder: "trb_…",
    });
    const save = () => { keep(input.value.trim()); close(true); };
    const close = (changed) => { dialog.close(); dialog.remove(); open = null; resolve(changed); };
    const dialog = h("dialog", { "aria-labelledby": "access-title" },
      h("h2", { id: "access-title" }, "Access"),
      reason && h("p", { class: "warning" }, reason),
      h("p", {}, "A server that others can reach requires a token. Its administrator makes one with ",
        h("code", {}, "tributary token create"), "."),
      field("Token", input, "The token is kept in this tab until you close it, and sent only to this server."),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "primary", onclick: save }, "Use this token"),
        token() && h("button", { type: "button", onclick: () => { keep(""); close(true); } }, "Forget the token"),
        h("button", { type: "button", class: "quiet", onclick: () => close(false) }, "Close")));
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") save(); });
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(false); });
    document.body.append(dialog);
    dialog.showModal();
  });
  return open;
}
