// Shows one job's progress until it has ended, then goes to its result.

import { cancel, job as look } from "./api.js";
import { announce, h, problem, replace } from "./dom.js";
import { followJob, isFinal } from "./events.js";
import { ago, count, plural, seconds } from "./format.js";
import { draftOf, itemsOf } from "./query.js";
import { questionsOf } from "./question.js";
import { go, link } from "./router.js";

const stages = [
  ["gradients", "The completion’s gradient"],
  ["candidates", "Choosing the candidates"],
  ["sweep", "Scoring the candidates"],
  ["rescore", "Scoring the best again in full"],
];

export async function showWatch(main, { path, items }, signal) {
  const id = path[1];
  const question = h("div");
  const status = h("p", { class: "status", role: "status" }, "Asking…");
  const silence = h("p", { class: "warning", hidden: true },
    "The server does not answer. Trying again. An acknowledged job survives a restart of the server.");
  const list = h("ol", { class: "stages" });
  const button = h("button", { type: "button", onclick: stop }, "Cancel");
  const actions = h("div", { class: "actions" }, button);
  const failure = h("div");
  replace(main, h("h1", {}, "Job"), question, status, silence, list, failure, actions);

  let job = null;
  let asking = null;
  const ended = await followJob(id, {
    job(news) {
      job = { ...job, ...news };
      showStatus();
      asking ??= fetchQuestion();
    },
    progress: showStages,
    silence(isSilent) { silence.hidden = !isSilent; },
  }, signal);
  job = { ...job, ...ended };
  silence.hidden = true;
  if (ended.status === "succeeded" || ended.result) {
    announce("The result is ready.");
    const isPair = items.get("then") === "compare" && ended.status === "succeeded";
    return go(isPair ? link(["compare"], { left: `${id}.0`, right: `${id}.1` }) : link(["results", id]),
      { replacing: true });
  }
  showStatus();
  await (asking ?? fetchQuestion());
  if (signal.aborted) return;
  replace(list);
  if (ended.error) replace(failure, problem({ title: ended.error.title, message: ended.error.detail }));
  replace(actions, again(), h("a", { class: "button", href: link(["jobs"]) }, "All jobs"));

  // Events describe the job without its question.
  async function fetchQuestion() {
    try {
      const { request } = await look(id, signal);
      job = { ...job, request };
      replace(question, questionsOf([request].flat()));
    } catch {
      asking = null;
    }
  }

  function showStatus() {
    const waiting = {
      queued: "Waiting for its turn.", running: "Running.", cancelled: "Cancelled.", failed: "Failed.",
      succeeded: "Done.",
    };
    status.textContent = [
      waiting[job.status], `Asked ${ago(job.created_at)}.`,
      job.attempts > 1 && `Started ${job.attempts} times, because the server was restarted.`,
      job.queries > 1 && `The job has ${plural(job.queries, "query")}.`,
    ].filter(Boolean).join(" ");
    status.dataset.status = job.status;
    if (isFinal(job)) announce(waiting[job.status]);
    else if (list.childElementCount === 0) showStages(null);
  }

  // Existing elements are updated and not replaced: screen readers would otherwise start over at each step.
  function showStages(progress) {
    if (list.childElementCount === 0) replace(list, stages.map(stageRow));
    const current = progress ? stages.findIndex(([name]) => name === progress.stage) : -1;
    [...list.children].forEach((row, index) => {
      const isCurrent = index === current;
      row.className = index < current ? "done" : isCurrent ? "current" : "waiting";
      if (isCurrent) row.setAttribute("aria-current", "step");
      else row.removeAttribute("aria-current");
      const [, bar, measure] = row.children;
      const isMeasured = isCurrent && progress.total > 0;
      bar.hidden = measure.hidden = !isMeasured;
      if (!isMeasured) return;
      bar.max = progress.total;
      bar.value = progress.done;
      measure.textContent = `${count(progress.done)} of ${count(progress.total)}`
        + (progress.seconds_left ? `, ${seconds(progress.seconds_left)} remaining` : "");
    });
  }

  async function stop() {
    button.disabled = true;
    // Set first, because the event of the end may arrive before the answer.
    status.textContent = "Cancelling…";
    try {
      await cancel(id);
    } catch (error) {
      // The job may have ended a moment before; later events say how.
      if (error.status !== 409) {
        button.disabled = false;
        showStatus();
        replace(failure, problem(error));
      }
    }
  }

  function again() {
    const first = [job.request ?? []].flat()[0];
    return first && h("a", { class: "button", href: link(["ask"], itemsOf(draftOf(first))) }, "Ask again");
  }
}

function stageRow([, label]) {
  return h("li", {}, h("span", {}, label), h("progress", { hidden: true, "aria-label": label }),
    h("span", { class: "measure", hidden: true }));
}
