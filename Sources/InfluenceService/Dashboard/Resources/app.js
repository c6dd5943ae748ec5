// The start of the page: chooses the view for an address, and shows the server's state.

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

// A view that fails is replaced by its error.
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
    starting: `The server is starting: ${state.stage ?? "it is loading the model"}. `
      + "You can ask questions when it is ready.",
    failed: `The server could not load the model: ${state.reason ?? "the server's log has the reason"}. `
      + "You can still read earlier results.",
    stopping: "The server is stopping. Unfinished jobs run again at its next start.",
    draining: "The server is stopping. Unfinished jobs run again at its next start.",
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
  // The address selects the view; the link must not change it.
  event.preventDefault();
  document.getElementById("main").focus();
});
offerAccess();
follow(document.getElementById("main"), choose);
watchReadiness();
