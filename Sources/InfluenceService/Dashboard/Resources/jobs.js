// Lists jobs, newest first.

import { cancel, jobs as fetchJobs } from "./api.js";
import { announce, h, replace } from "./dom.js";
import { isFinal, rest } from "./events.js";
import { ago, count, plural, seconds } from "./format.js";
import { labelOf, said } from "./question.js";
import { keepInAddress, link } from "./router.js";

const statuses = ["queued", "running", "succeeded", "failed", "cancelled"];

export async function showJobs(main, { items }, signal) {
  let status = statuses.includes(items.get("status")) ? items.get("status") : "";
  let shown = new Map();
  let cursor = null;
  const body = h("tbody", { role: "rowgroup" });
  // The roles keep the table's meaning on narrow screens, where the cells of a row are stacked.
  const table = h("table", { class: "jobs", role: "table" },
    h("caption", { class: "hidden" }, "Jobs, newest first"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["Question", "Status", "Asked", "Took", ""].map((title) =>
      h("th", { scope: "col", role: "columnheader" }, title || h("span", { class: "hidden" }, "Actions"))))), body);
  const empty = h("p", { class: "empty", hidden: true });
  const more = h("button", { type: "button", hidden: true, onclick: older }, "Earlier jobs");
  const filters = h("div", { class: "filters", role: "group", "aria-label": "Filter jobs by status" },
    ["", ...statuses].map((value) => h("button", {
      type: "button", class: "chip", "aria-pressed": String(value === status), dataset: { status: value },
      onclick: () => filter(value),
    }, value || "all")));
  const region = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Jobs" }, table);
  replace(main, h("h1", {}, "Jobs"), filters, region, empty, more);

  await refresh();
  keepFresh();

  function filter(value) {
    status = value;
    shown = new Map();
    filters.querySelectorAll("button").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.status === value)));
    keepInAddress({ status });
    refresh().then(() => announce(plural(shown.size, "job")));
  }

  /** Jobs with a failed query are among the failed ones. */
  function asked() {
    return status === "failed" ? { failures: true } : { status };
  }

  async function refresh() {
    const before = status;
    const page = await fetchJobs(asked(), signal);
    if (before !== status || signal.aborted) return;
    const earlier = [...shown.values()].filter((job) => job.isEarlier);
    shown = new Map(page.jobs.map((job) => [job.id, job]));
    for (const job of earlier) if (!shown.has(job.id)) shown.set(job.id, job);
    if (earlier.length === 0) cursor = page.next_cursor ?? null;
    show();
  }

  async function older() {
    const page = await fetchJobs({ ...asked(), cursor }, signal);
    for (const job of page.jobs) shown.set(job.id, { ...job, isEarlier: true });
    cursor = page.next_cursor ?? null;
    show();
  }

  async function keepFresh() {
    while (!signal.aborted) {
      const isBusy = [...shown.values()].some((job) => !isFinal(job));
      await rest(isBusy ? 3_000 : 10_000, signal).catch(() => {});
      if (signal.aborted) return;
      if (!document.hidden) await refresh().catch(() => {});
    }
  }

  function show() {
    more.hidden = cursor === null;
    empty.hidden = shown.size > 0;
    replace(empty, status ? `There are no ${status} jobs.`
      : ["No questions have been asked yet. ", h("a", { href: link(["ask"]) }, "Ask one"), "."]);
    table.hidden = shown.size === 0;
    // Unchanged rows are not replaced, because the focus may be in one of them.
    const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
    const wanted = [...shown.values()].map((job) => {
      const age = isFinal(job) ? ago(job.created_at) : Date.now();
      const key = `${job.id} ${job.status} ${job.progress?.done ?? ""} ${age}`;
      return rows.get(key) ?? row(job, key);
    });
    const focused = document.activeElement?.closest?.("tr")?.dataset.job;
    const label = document.activeElement?.dataset?.action;
    body.replaceChildren(...wanted);
    if (focused && !body.contains(document.activeElement)) {
      body.querySelector(`[data-job="${focused}"] [data-action="${label}"]`)?.focus({ preventScroll: true });
    }
  }

  function row(job, key) {
    const address = job.result ? link(["results", job.id]) : link(["jobs", job.id]);
    const name = h("a", { href: address, dir: "auto", dataset: { action: "open" } }, nameOf(job));
    const { done = 0, total = 0 } = job.progress ?? {};
    const progress = total > 0 ? ` ${Math.floor(100 * done / total)}\u202f%` : "";
    const began = Date.parse(job.started_at ?? job.created_at);
    return h("tr", { role: "row", dataset: { key, job: job.id } },
      h("th", { scope: "row", role: "rowheader" }, name,
        job.queries > 1 && h("span", { class: "hint" }, job.failed_queries > 0 && isFinal(job)
          ? ` ${count(job.queries - job.failed_queries)} of ${plural(job.queries, "query")} answered`
          : ` ${plural(job.queries, "query")}`)),
      h("td", { role: "cell" },
        h("span", { class: "status", dataset: { status: job.status } },
          job.failed_queries > 0 && job.status === "succeeded" ? "partly failed" : job.status),
        job.stage && h("span", { class: "hint" }, ` ${job.stage}${progress}`)),
      h("td", { role: "cell" }, h("time", { datetime: job.created_at, title: job.created_at }, ago(job.created_at))),
      h("td", { role: "cell", class: "number" }, 
        job.finished_at ? seconds((Date.parse(job.finished_at) - began) / 1000) : ""),
      h("td", { role: "cell" }, !isFinal(job) && h("button", {
        type: "button", class: "quiet", dataset: { action: "cancel" }, "aria-label": `Cancel job ${job.id.slice(-6)}`,
        onclick: (event) => {
          event.target.disabled = true;
          cancel(job.id).catch(() => {}).then(refresh).catch(() => {});
        },
      }, "Cancel")));
  }
}

/** A job's first question; jobs of earlier versions of the server may have none that can be read. */
function nameOf({ id, title }) {
  if (!title) return `Job ${id.slice(-6)}`;
  const { prompt, completion, others } = labelOf(title);
  return [prompt, said(completion), others > 0 && h("span", { class: "hint" }, ` and ${plural(others, "other")}`)];
}
