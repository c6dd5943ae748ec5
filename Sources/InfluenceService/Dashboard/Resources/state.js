// The server's state: model, factors, corpus, load, errors.

import { describe, jobs as fetchJobs, metrics as fetchMetrics, readiness } from "./api.js";
import { h, problem, replace } from "./dom.js";
import { rest } from "./events.js";
import { ago, bytes, count, large, seconds } from "./format.js";
import { parse } from "./layers.js";
import { parseMetrics, quantile, total } from "./metrics.js";
import { link } from "./router.js";
import { token } from "./session.js";

export async function showState(main, _, signal) {
  const model = h("section");
  const load = h("section");
  const errors = h("section");
  replace(main, h("h1", {}, "State"), h("div", { class: "state" }, model, load, errors));
  await Promise.all([showModel(model), keepShowing()]);

  async function keepShowing() {
    await Promise.all([showLoad(load), showErrors(errors, signal)]);
    (async () => {
      while (!signal.aborted) {
        await rest(5_000, signal).catch(() => {});
        if (!signal.aborted && !document.hidden) await Promise.all([showLoad(load), showErrors(errors, signal)]);
      }
    })();
  }
}

const fisherKinds = {
  sampled: "true Fisher, labels sampled from the model",
  empirical: "empirical Fisher, the corpus’s own labels",
  unknown: "fitted elsewhere",
};

/** Names and values, without those whose value is unknown. */
function facts(entries) {
  return h("dl", { class: "facts" }, entries
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

async function showModel(place) {
  try {
    const { factors, corpus, index, tracked_layers: layers, ...model } = await describe();
    const kinds = [...new Set(layers.map((layer) => parse(layer.name).kind))];
    replace(place,
      h("h2", {}, "Model"),
      facts([
        ["Name", h("bdi", {}, model.name)], ["Architecture", model.architecture],
        ["Parameters", `${large(model.parameters)} (${count(model.parameters)})`],
        ["Context", `${count(model.context_length)} tokens`], ["Vocabulary", `${count(model.vocabulary)} tokens`],
        ["Tracked layers", `${count(layers.length)}: ${kinds.join(", ")}`],
        ["Weights", h("code", { title: model.digest }, model.digest?.slice(0, 16))],
      ]),
      h("h2", {}, "Factors"),
      facts([
        ["Fisher", fisherKinds[factors.fisher] ?? factors.fisher],
        ["Fitted on", [
          `${count(factors.sequences)} sequences`, factors.tokens ? `, ${count(factors.tokens)} tokens` : null,
        ]],
        ["Seed", factors.seed?.toString()], ["Memory", bytes(factors.bytes)],
      ]),
      factors.warnings?.map((warning) => h("p", { class: "hint warning" }, `Warning: ${warning}.`)),
      h("h2", {}, "Corpus"),
      facts([
        ["Documents", count(corpus.documents)], ["Sequences", count(corpus.sequences)],
        ["Tokens", count(corpus.tokens)],
        ["Duplicates not stored", count(corpus.duplicates)],
      ]),
      h("h2", {}, "Gradient index"),
      index
        ? facts([
          ["Sequences", count(index.sequences)], ["Size", bytes(index.bytes)],
          ["Stored per layer", `${count(index.signs)} signs, of ${count(index.leading)} leading directions`],
        ])
        : h("p", {}, "There is none. ", h("code", {}, "tributary index"), " makes one."));
  } catch (error) {
    replace(place, h("h2", {}, "Model"), problem(error, () => showModel(place)));
  }
}

async function showLoad(place) {
  try {
    const state = await readiness().catch(() => ({ status: "no answer" }));
    let families = null;
    try {
      families = parseMetrics(await fetchMetrics());
    } catch (error) {
      if (error.status !== 404) throw error;
    }
    const heading = h("h2", {}, "Load");
    if (!families) {
      replace(place, heading, facts([["State", state.status]]),
        h("p", { class: "hint" }, "This server does not report metrics."));
      return;
    }
    const sum = (name, labels) => total(families, `tributary_${name}`, labels);
    const started = total(families, "process_start_time_seconds");
    const resident = total(families, "process_resident_memory_bytes");
    const slow = quantile(families, "tributary_http_request_duration_seconds", 0.99);
    const sweeps = sum("sweep_duration_seconds_count");
    const queries = ["succeeded", "failed", "cancelled"]
      .map((outcome) => [outcome, sum("queries_total", { outcome })]).filter(([, value]) => value);
    const together = sweeps && sum("batch_queries_count") && sum("batch_queries_sum") / sum("batch_queries_count");
    const stages = (families.get("tributary_stage_seconds_total") ?? [])
      .map(({ labels, value }) => `${labels.stage} ${seconds(value)}`);
    replace(place, heading, facts([
      ["State", state.status],
      ["Running for", started && seconds(Date.now() / 1000 - started)],
      ["Memory", resident && bytes(resident)],
      ["Queries waiting", sum("queue_queries")], ["Queries running", sum("running_queries")],
      ["Queries ended", queries.map(([outcome, value]) => `${count(value)} ${outcome}`).join(", ") || "0"],
      ["Sweeps", sweeps && `${count(sweeps)}, ${seconds(sum("sweep_duration_seconds_sum") / sweeps)} each`],
      ["Queries per sweep", together?.toFixed(1)],
      ["Tokens swept", sweptTokens(sum)],
      ["Workspace on disk", sum("workspace_bytes") && bytes(sum("workspace_bytes"))],
      ["Time by stage", stages.join(", ")],
      ["Requests", sum("http_requests_total") !== null && count(sum("http_requests_total"))],
      ["99 % of requests answered within", slow === Infinity ? "more than 5 min" : slow !== null && seconds(slow)],
      ["Refused or failed", failedRequests(families)],
    ].map(([name, value]) => [name, value === 0 ? "0" : value || null])),
      // A link cannot send the token.
      token() === null && h("p", { class: "hint" }, h("a", { href: "/metrics" }, "All metrics"),
        " in the Prometheus text format"));
  } catch (error) {
    replace(place, h("h2", {}, "Load"), problem(error, () => showLoad(place)));
  }
}

function sweptTokens(sum) {
  const tokens = sum("sweep_tokens_total");
  const spent = sum("stage_seconds_total", { stage: "sweep" });
  return tokens && `${large(tokens)}${spent ? `, ${count(Math.round(tokens / spent))} per second` : ""}`;
}

function failedRequests(families) {
  const sums = new Map();
  for (const { labels, value } of families.get("tributary_http_requests_total") ?? []) {
    if (/^[45]/.test(labels.status)) sums.set(labels.status, (sums.get(labels.status) ?? 0) + value);
  }
  return [...sums].sort().map(([status, value]) => `${count(value)} with ${status}`).join(", ") || "none";
}

async function showErrors(place, signal) {
  try {
    const page = await fetchJobs({ failures: true, limit: 10 }, signal);
    replace(place, h("h2", {}, "Recent errors"),
      page.jobs.length === 0 ? h("p", { class: "empty" }, "No job has failed.")
        : h("ul", { class: "errors" }, page.jobs.map((job) => h("li", {},
          h("a", { href: link(["jobs", job.id]) }, ago(job.finished_at ?? job.created_at)), " ",
          h("span", { dir: "auto" }, job.error?.detail ?? "A query of the job failed.")))));
  } catch (error) {
    if (!signal.aborted) replace(place, h("h2", {}, "Recent errors"), problem(error));
  }
}
