// The calls of the API that the pages use.

import { askForToken, credentials, token } from "./session.js";

/** An error that the server reported, or the lack of an answer. */
export class CallError extends Error {
  /**
   * @param {{title: string, detail: string, status: number, type?: string, field?: string, retryAfter?: number}} problem
   */
  constructor(problem) {
    super(problem.detail);
    Object.assign(this, { retryAfter: null, field: null, ...problem });
  }

  /** Whether the server did not answer, or answered that it will be ready soon. */
  get isPassing() {
    return this.status === 0 || this.status === 503;
  }
}

/**
 * Sends a request and reads the answer's JSON; asks for a token if the server requires one.
 *
 * @param {string} path
 * @param {{method?: string, body?: any, headers?: Object<string, string>, signal?: AbortSignal,
 *   as?: "json"|"text"|"response"}} [options]
 */
export async function call(path, { method = "GET", body, headers = {}, signal, as = "json" } = {}) {
  const used = token();
  const response = await reach(path, {
    method, signal, cache: "no-cache",
    headers: {
      Accept: as === "json" ? "application/json" : "*/*", ...credentials(),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) return as === "json" ? response.json() : as === "text" ? response.text() : response;
  const error = await told(response);
  if (response.status === 401 && (used !== token() || await askForToken(error.message))) {
    return call(path, { method, body, headers, signal, as });
  }
  throw error;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError({
      title: "No answer", status: 0,
      detail: "The server does not answer. It may be restarting; a job that it has acknowledged is not lost.",
    });
  }
}

async function told(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    const problem = await response.json();
    return new CallError({ ...problem, detail: problem.detail ?? problem.title, status: response.status, retryAfter });
  } catch {
    return new CallError({
      title: `Status ${response.status}`, detail: `The server answered with status ${response.status}.`,
      status: response.status, retryAfter,
    });
  }
}

const path = (id) => encodeURIComponent(id);

export const readiness = async () => (await reach("/readyz", { cache: "no-store" })).json();
export const describe = () => call("/v1/model");
export const metrics = () => call("/metrics", { as: "text" });
export const sequence = (id, signal) => call(`/v1/sequences/${path(id)}`, { signal });
export const complete = (body, signal) => call("/v1/completions", { method: "POST", body, signal });
export const job = (id, signal) => call(`/v1/jobs/${path(id)}`, { signal });
export const cancel = (id) => call(`/v1/jobs/${path(id)}`, { method: "DELETE" });

/** A page of jobs, newest first. */
export function jobs({ status, failures, cursor, limit = 50 } = {}, signal) {
  const items = new URLSearchParams({ limit });
  if (failures) items.set("failures", "true");
  if (status) items.set("status", status);
  if (cursor) items.set("cursor", cursor);
  return call(`/v1/jobs?${items}`, { signal });
}

/** Posts queries. The key makes it safe to send them again if the answer was lost. */
export function ask(body, key) {
  return call("/v1/influence", { method: "POST", body, headers: { "Idempotency-Key": key } });
}

/** A key of 128 random bits; `crypto.randomUUID` needs a secure context. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const results = new Map();

/**
 * The results of a finished job, one per query; a failed query has `error`. They never change, so they are cached.
 *
 * @returns {Promise<Array<object>>}
 */
export async function resultsOf(id, signal) {
  if (!results.has(id)) {
    const body = await call(`/v1/jobs/${path(id)}/result`, { signal });
    if (results.size >= 8) results.delete(results.keys().next().value);
    results.set(id, body.results ?? [body]);
  }
  return results.get(id);
}

/** Keeps a result that was read from a file, under its own name. */
export function keepResults(id, entries) {
  results.set(id, entries);
}
