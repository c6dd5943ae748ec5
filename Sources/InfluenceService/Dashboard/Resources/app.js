// Begins: which view an address has, and what the server's state is.

import { readiness } from "./api.js";
import { announce, h, problem, replace } from "./dom.js";
import { follow } from "./router.js";
import { offerAccess } from "./session.js";
import { showAsk } from "./ask.js";
import { showCompare } from "./compare.js";
import { showJobs } from "./jobs.js";
import { showRead } from "./read.js";
import { showState } from "./state.js";
import { showWatch } from "./watch.js";

const views = {
  ask: { name: "ask", title: "Ask", show: showAsk },
  jobs: { name: "jobs", title: "Jobs", show: showJobs },
  job: { name: "jobs", title: "Job", show: showWatch },
  results: { name: "jobs", title: "Result", show: showRead },
  compare: { name: "compare", title: "Compare", show: showCompare },
  state: { name: "state", title: "State", show: showState },
};

function choose({ path }) {
  if (path[0] === "jobs" && path[1]) return guarded(views.job);
  return guarded(Object.hasOwn(views, path[0] ?? "") ? views[path[0]] : views.ask);
}

// A view that fails says so in its place.
function guarded(view) {
  const show = async (main, place, signal) => {
    try {
      await view.show(main, place, signal);
    } catch (error) {
      if (signal.aborted) return;
      replace(main, h("h1", {}, view.title), problem(error, () => { replace(main); show(main, place, signal); }));
      announce(error.message);
    }
  };
  return { ...view, show };
}

const notice = document.getElementById("notice");

/** Says what the server is doing until it answers queries. */
async function watchReadiness() {
  let state;
  try {
    state = await readiness();
  } catch {
    state = { status: "silent" };
  }
  const text = {
    starting: `The server is starting: ${state.stage ?? "the model is being loaded"}. `
      + "Questions can be asked when it is ready.",
    failed: `The model could not be loaded: ${state.reason ?? "the server's log has the reason"}. `
      + "Earlier results can still be read.",
    stopping: "The server is stopping. What it has not finished runs again at its next start.",
    draining: "The server is stopping. What it has not finished runs again at its next start.",
    silent: "The server does not answer. Trying again.",
  }[state.status];
  notice.hidden = !text;
  if (notice.textContent !== (text ?? "")) notice.textContent = text ?? "";
  const pause = text ? 2_000 : 30_000;
  setTimeout(() => {
    if (document.hidden) addEventListener("visibilitychange", watchReadiness, { once: true });
    else watchReadiness();
  }, pause);
}

document.querySelector(".skip").addEventListener("click", (event) => {
  // The address says which view there is; the link must not change it.
  event.preventDefault();
  document.getElementById("main").focus();
});
offerAccess();
follow(document.getElementById("main"), choose);
watchReadiness();
