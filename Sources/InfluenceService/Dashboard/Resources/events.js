// Follows a job. Server-sent events are read through fetch, because EventSource cannot send a token.

import { call, CallError, job as look } from "./api.js";

/**
 * Reports a job's progress until it has ended, across lost connections and restarts of the server.
 *
 * @param {string} id
 * @param {{job: (job: object) => void, progress: (progress: object) => void,
 *   silence: (isSilent: boolean) => void}} listener
 *   `job` gets the job whenever its status changes, `progress` the progress of its stage, and `silence` whether the
 *   server has stopped answering.
 * @param {AbortSignal} signal
 * @returns {Promise<object>} The job as it has ended.
 */
export async function followJob(id, listener, signal) {
  let lastID = null;
  let hasEvents = true;
  for (let pause = 500; ; pause = Math.min(pause * 1.6, 8_000)) {
    try {
      if (hasEvents) {
        const ended = await listen();
        if (ended) return ended;
      }
      const job = await look(id, signal);
      listener.silence(false);
      listener.job(job);
      if (job.progress) listener.progress({ stage: job.stage, ...job.progress });
      if (isFinal(job)) return job;
      pause = hasEvents ? pause : 600;
    } catch (error) {
      if (!(error instanceof CallError) || !error.isPassing) throw error;
      listener.silence(true);
    }
    await rest(pause, signal);
  }

  async function listen() {
    let response;
    try {
      response = await call(`/v1/jobs/${encodeURIComponent(id)}/events`, {
        as: "response", signal, headers: { Accept: "text/event-stream",
          ...(lastID ? { "Last-Event-ID": lastID } : {}) },
      });
    } catch (error) {
      // The job exists, but the server does not send its events: poll instead.
      if (error.type?.endsWith("/unknown-route") || error.status === 405) hasEvents = false;
      else if (!(error instanceof CallError) || !error.isPassing) throw error;
      return null;
    }
    listener.silence(false);
    try {
      for await (const event of events(response.body)) {
        lastID = event.id ?? lastID;
        const data = JSON.parse(event.data);
        if (event.name === "status") listener.job(data);
        if (event.name === "progress") listener.progress(data);
        if (event.name === "end") return data;
      }
    } catch (error) {
      // After a broken connection, the stream resumes where it was.
      if (signal.aborted) throw error;
    }
    return null;
  }
}

export function isFinal(job) {
  return ["succeeded", "failed", "cancelled"].includes(job.status);
}

/** The events of a stream as they arrive (HTML, section 9.2.6). */
async function* events(body) {
  let event = { name: "message", data: "" };
  for await (const line of lines(body.pipeThrough(new TextDecoderStream()))) {
    if (line === "") {
      if (event.data) yield event;
      event = { name: "message", data: "" };
    } else if (!line.startsWith(":")) {
      const [name, value] = line.split(/: ?(.*)/s);
      if (name === "event") event.name = value;
      if (name === "id") event.id = value;
      if (name === "data") event.data += (event.data ? "\n" : "") + value;
    }
  }
}

async function* lines(stream) {
  const reader = stream.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r\n|\n|\r/);
      rest = parts.pop();
      yield* parts;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Waits, unless the reader leaves the view earlier. */
export function rest(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const leave = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal.removeEventListener("abort", leave); resolve(); }, milliseconds);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}
