// The document that a sequence is a chunk of, chunk by chunk.

import { sequence as fetchSequence } from "./api.js";
import { announce, h, replace } from "./dom.js";
import { plural } from "./format.js";
import { wholeText } from "./loss.js";

const together = 8;

/**
 * Shows a document's chunks, with the current one marked.
 *
 * @param {{id: string}} here
 * @param {HTMLElement} place
 * @param {HTMLButtonElement} button The button that was pressed; it is removed when the chunks are shown.
 */
export async function documentPieces(here, place, button) {
  button.disabled = true;
  replace(place, h("p", { class: "hint" }, "Fetching the document…"));
  try {
    const own = await fetchSequence(here.id);
    // A document of one chunk has the document's name; several chunks are numbered.
    const pieces = own.id === own.document_id ? [own] : await following(own.document_id, 0);
    replace(place,
      h("h4", {}, "Document ", h("bdi", {}, own.document_id)),
      pieces.map((piece) => shown(piece, here)));
    if (pieces.length % together === 0 && pieces.length > 0) offerMore(own.document_id, pieces.length, place, here);
    announce(`The document has ${plural(pieces.length, "part")}`);
    button.remove();
  } catch (error) {
    button.disabled = false;
    replace(place, h("p", { class: "warning", role: "alert" }, error.message));
  }
}

function shown(piece, here) {
  return wholeText([piece.text], piece, { class: piece.id === here.id ? "text piece here" : "text piece" });
}

function offerMore(name, from, place, here) {
  const more = h("button", { type: "button", onclick: async () => {
    more.disabled = true;
    const pieces = await following(name, from);
    more.before(...pieces.map((piece) => shown(piece, here)));
    more.remove();
    if (pieces.length === together) offerMore(name, from + pieces.length, place, here);
  } }, "Show the next parts");
  place.append(more);
}

/** The next few chunks of a document, from the given number on. */
async function following(name, from) {
  const pieces = [];
  while (pieces.length < together) {
    try {
      pieces.push(await fetchSequence(`${name}#${from + pieces.length}`));
    } catch (error) {
      if (error.status !== 404) throw error;
      break;
    }
  }
  return pieces;
}
