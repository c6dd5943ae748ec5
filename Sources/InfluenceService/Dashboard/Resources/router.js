// An address is the part behind "#": /ask, /jobs, /jobs/ID, /results/ID, /compare or /state, with items behind "?".

/** @typedef {{path: string[], items: URLSearchParams}} Place */

/** Where the address says we are. @returns {Place} */
export function place() {
  const [path, items = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decoded), items: new URLSearchParams(items) };
}

// An address with a stray "%" is still valid.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a place, for links. */
export function link(path, items = {}) {
  const filled = Object.entries(items).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(filled).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** Goes to an address; `replacing` removes the current one from the history. */
export function go(address, { replacing = false } = {}) {
  if (replacing) location.replace(address);
  else location.hash = address.slice(1);
}

/** Changes items of the present address without leaving the view. */
export function keepInAddress(items) {
  const here = place();
  for (const [name, value] of Object.entries(items)) {
    if (value === null || value === undefined || value === "") here.items.delete(name);
    else here.items.set(name, value);
  }
  history.replaceState(history.state, "", link(here.path, Object.fromEntries(here.items)));
}

/**
 * Shows the view of each address.
 *
 * @param {HTMLElement} main
 * @param {(place: Place) => {name: string, title: string, show: (main: HTMLElement, place: Place,
 *   signal: AbortSignal) => Promise<void>}} choose
 */
export function follow(main, choose) {
  let leaving = new AbortController();
  let isFirst = true;
  async function arrive() {
    leaving.abort();
    leaving = new AbortController();
    const { signal } = leaving;
    const here = place();
    const view = choose(here);
    document.title = `${view.title} · Tributary`;
    for (const item of document.querySelectorAll("nav [data-view]")) {
      if (item.dataset.view === view.name) item.setAttribute("aria-current", "page");
      else item.removeAttribute("aria-current");
    }
    const address = location.hash;
    const height = isFirst ? kept(address) : 0;
    const moveFocus = !isFirst;
    isFirst = false;
    main.replaceChildren();
    main.dataset.view = view.name;
    if (moveFocus) main.focus({ preventScroll: true });
    scrollTo(0, 0);
    await view.show(main, here, signal);
    if (!signal.aborted && height) scrollTo(0, height);
  }
  addEventListener("hashchange", arrive);
  // A page that is reloaded keeps its scroll position.
  addEventListener("pagehide", () => sessionStorage.setItem("tributary.scroll", `${scrollY} ${location.hash}`));
  history.scrollRestoration = "manual";
  return arrive();
}

function kept(address) {
  const [height, hash] = (sessionStorage.getItem("tributary.scroll") ?? "").split(/ (.*)/s);
  return hash === address ? Number(height) : 0;
}
