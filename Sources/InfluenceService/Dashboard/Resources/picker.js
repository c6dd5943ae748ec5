// Chooses the results to compare, from this server's jobs and from files.

import { job as look, jobs as fetchJobs, keepResults, resultsOf } from "./api.js";
import { announce, h, identifier } from "./dom.js";
import { clip } from "./format.js";
import { labelText } from "./question.js";

/** A job's id and the number of a query in it: "ID.0". @returns {{id: string, number: number, isFile: boolean}} */
export function parts(name) {
  const [, id, number] = /^(.*?)(?:\.(\d+))?$/.exec(name);
  return { id, number: Number(number ?? 0), isFile: id.startsWith("file-") };
}

/** Results that can be chosen, newest first. */
export async function recentResults(signal) {
  const page = await fetchJobs({ status: "succeeded", limit: 20 }, signal);
  const questions = await Promise.all(page.jobs.map((job) => titlesOf(job, signal)));
  return page.jobs.flatMap((job, index) => questions[index].map((question, number) => ({
    name: `${job.id}.${number}`, text: clip(labelText(question), 100),
  })));
}

/** The questions of a job. A list of jobs has only the first of them. */
async function titlesOf(job, signal) {
  if (job.queries === 1 && job.title) return [job.title];
  const full = await look(job.id, signal).catch(() => null);
  return [full?.request ?? []].flat();
}

/**
 * @param {string} label
 * @param {{name: string, text: string}[]} known
 * @param {string} chosen
 * @param {(name: string) => void} choose
 */
export function picker(label, known, chosen, choose) {
  const isKnown = !chosen || known.some(({ name }) => name === chosen);
  const options = isKnown ? known : [{ name: chosen, text: "the result in the address" }, ...known];
  const select = h("select", { id: identifier("pick"), onchange: (event) => choose(event.target.value) },
    h("option", { value: "" }, "choose a result"),
    options.map(({ name, text }) => h("option", { value: name, selected: name === chosen }, text)));
  const failed = h("p", { class: "warning", role: "alert" });
  const file = h("input", {
    type: "file", accept: "application/json,.json", class: "hidden", tabindex: -1, "aria-hidden": "true",
    onchange: open,
  });
  const button = h("button", { type: "button", class: "quiet", onclick: () => file.click() },
    "Open a saved result", h("span", { class: "hidden" }, ` as the ${label.toLowerCase()}`));
  return h("div", { class: "field" },
    h("label", { for: select.id }, label), select, h("div", { class: "actions" }, button, file), failed);

  async function open() {
    failed.textContent = "";
    try {
      const name = await opened(file.files[0]);
      select.append(h("option", { value: name }, file.files[0].name));
      select.value = name;
      choose(name);
    } catch (error) {
      failed.textContent = error.message;
      announce(error.message);
    }
  }
}

let filesOpened = 0;

/** Reads a saved result, perhaps from another server. It is kept only in this page. */
async function opened(file) {
  let entries;
  try {
    const body = JSON.parse(await file.text());
    entries = body.results ?? [body];
    const isResult = (entry) => Array.isArray(entry.sequences) && Array.isArray(entry.query?.tokens);
    if (!entries.every(isResult)) throw new Error();
  } catch {
    throw new Error(`${file.name} is not a result: expected JSON with "query" and "sequences", as "Save as JSON" `
      + `writes it.`);
  }
  filesOpened += 1;
  keepResults(`file-${filesOpened}`, entries);
  return `file-${filesOpened}.0`;
}

/** @throws If there is no such result. */
export async function resultNamed(name, signal) {
  const { id, number, isFile } = parts(name);
  const entries = await resultsOf(id, signal).catch((error) => {
    throw isFile ? new Error("Reloading the page forgets results from files: open the file again.") : error;
  });
  const entry = entries[number];
  if (!entry || entry.error) throw new Error(entry?.error?.detail ?? "The job has no question with this number.");
  return entry;
}
