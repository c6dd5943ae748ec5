// Makes elements. Text always becomes a text node: nothing here parses markup from a string.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with its attributes and children.
 *
 * Names that begin with "on" are listeners, `dataset` and `style` are objects (a style's names may be custom
 * properties), booleans set or leave out an attribute, and null leaves it out.
 *
 * @param {string} name
 * @param {Object<string, any>} [attributes]
 * @param {...(Node|string|number|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. @returns {SVGElement} */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Adds children as {@link h} takes them. */
export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Replaces an element's children. */
export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

/** Announces a text to screen readers without moving the focus. */
export function announce(text) {
  document.getElementById("live").textContent = text;
}

/** A button that copies what `text` returns. */
export function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", class: "quiet", onclick: copy }, label);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
      announce("Copied");
    } catch {
      // Without a secure context there is no clipboard: the text is selected, so that the keyboard can copy it.
      const source = button.closest("figure")?.querySelector("pre");
      if (source) getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  }
  return button;
}

/** A labelled control with an explanation under it. */
export function field(label, control, hint) {
  control.id ||= identifier();
  const hintID = hint ? identifier() : null;
  if (hintID) control.setAttribute("aria-describedby", hintID);
  return h("div", { class: "field" },
    h("label", { for: control.id }, label), control, hint && h("p", { class: "hint", id: hintID }, hint));
}

let made = 0;
/** A name that no other element has. */
export function identifier(prefix = "part") {
  made += 1;
  return `${prefix}-${made}`;
}

/** What to show if a call has failed. */
export function problem(error, again) {
  return h("div", { class: "problem", role: "alert" },
    h("h2", {}, error.title ?? "Something went wrong"),
    h("p", { dir: "auto" }, error.message),
    again && h("button", { type: "button", onclick: again }, "Try again"));
}
