# SPDX-License-Identifier: Apache-2.0
"""Asks a Tributary server which training sequences made a language model say something.

Every server hands out this file:

    from urllib.request import urlretrieve
    urlretrieve("http://127.0.0.1:8080/client.py", "tributary.py")

    from tributary import Tributary
    tributary = Tributary("http://127.0.0.1:8080")
    result = tributary.explain("Hamlet is a tragedy written by William", " Shakespeare")

    result              # in a notebook: the ranked sequences, with their influential tokens marked
    result.table()      # a pandas DataFrame, or without pandas a list of dicts
    result.tokens(0)    # the first sequence, each token coloured by its influence
    result.layers()     # the influence through each layer, as a plot

It needs only Python 3.9 or later, and uses pandas and IPython if they are installed. Scores are in nats; sequences with positive
scores make the completion likelier.
"""

from __future__ import annotations

import html
import io
import itertools
import json
import os
import re
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import Any, Callable, Union
from urllib.parse import quote, urlencode

__all__ = ["Fragment", "Job", "Problem", "Result", "Tributary", "TributaryError", "Unreachable"]

Query = dict[str, Any]
# A part of a completion: some words of it, or its start and end.
Span = Union[str, tuple[int, int]]
# A part of a behaviour: a prompt and a completion, or a dict that can also have "contrast" and "weight".
Part = Union[tuple[str, str], list[dict[str, Any]], dict[str, Any]]


class TributaryError(Exception):
    """The base class of this module's own errors."""


class Unreachable(TributaryError, ConnectionError):
    """The server did not answer. A job that it has acknowledged continues when the server is back."""


class Problem(TributaryError):
    """The reason why the server refused a request, or why a query has no result (RFC 9457).

    `name` is stable, such as "unusable-field" or "queue-full"; a GET of `type` explains it. `detail` says what to do. `field` is
    the path of the member at fault, `line` is the line of the record at fault, and `retry_after` is the number of seconds to wait
    before another attempt.
    """

    def __init__(self, document: dict[str, Any], headers: Any = None):
        self.type: str = document.get("type", "about:blank")
        self.name: str = self.type.rpartition("/")[2]
        self.title: str = document.get("title", "The request failed")
        self.status: int = document.get("status", 0)
        self.detail: str = document.get("detail", self.title)
        self.field: str | None = document.get("field")
        self.line: int | None = document.get("line")
        wait = headers.get("Retry-After") if headers is not None else None
        self.retry_after: float | None = float(wait) if wait and wait.isdigit() else None
        self.request_id: str | None = headers.get("X-Request-Id") if headers is not None else None
        super().__init__(self.detail)


class Tributary:
    """A Tributary server.

    Args:
        url: The server's address.
        token: A token from `tributary token create`, if the server requires one; by default the environment variable
            TRIBUTARY_TOKEN.
        timeout: Seconds of silence after which a connection counts as broken.
        patience: Seconds for which requests are retried if the server does not answer, because it may be restarting.
        progress: Whether to show a job's progress; by default in notebooks and on terminals.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8080", token: str | None = None, *, timeout: float = 60,
        patience: float = 60, progress: bool | None = None,
    ):
        self.url = url.rstrip("/")
        self.timeout, self.patience, self.progress = timeout, patience, progress
        self._token = token or os.environ.get("TRIBUTARY_TOKEN")
        # A redirection could send the token to another server.
        self._opener = urllib.request.build_opener(_NoRedirection)

    # Asking

    def explain(
        self, prompt: str | None = None, completion: str | None = None, *, messages: list[dict[str, Any]] | None = None,
        measurement: Iterable[Part] | None = None, combine: str | None = None, contrast: str | None = None,
        spans: None | Span | Iterable[Span] = None, top: int | None = None, direction: str = "both",
        candidates: None | str | Iterable[str] = None, limit: int | None = None, source: str | None = None,
        probe: int | None = None, rank: None | int | str = None, rescore: int | None = None, damping: float | None = None,
        estimator: str | None = None, tokens: bool = True, layers: bool = True, output_tokens: bool = False,
        all_scores: bool = False, drop_turns: bool = False,
    ) -> Result:
        """The training sequences that made the model continue `prompt` with `completion`.

        Waits for the answer. An interrupt (KeyboardInterrupt) cancels the job on the server.

        Args:
            messages: In place of a prompt and a completion, a chat: dicts with "role" and "content". The last one, an assistant's,
                is the completion. The model's own chat template writes them out.
            measurement: In place of a prompt and a completion, a behaviour: pairs of a prompt and a completion, chats (lists of
                messages), or dicts with "prompt" and "completion" or with "messages", which can also have "contrast" and "weight".
                It has one ranking; `Result.parts()` says what each part was worth to it.
            combine: Whether a behaviour is the "mean" (the default) or the "sum" of its parts' log-probabilities.
            contrast: Another completion of the prompt, or another content of the last message: scores then say what made the
                completion likelier than `contrast`.
            spans: One or several parts of the completion to explain, each given as words of it or as (start, end) as in a slice.
                By default the whole completion.
            top: How many sequences to return in each direction.
            direction: "positive" for sequences that made the completion likelier, "negative" for those that made it less likely,
                or "both".
            candidates: "tfidf" for sequences that share words with the query, "index" for sequences with similar gradients (if
                the server has an index), "both", "all", or ids of sequences or documents.
            limit: How many candidates to score; ignored with "all".
            source: Score only sequences of this source.
            probe: Also score this many other sequences, drawn at random, to estimate what the candidates miss: `missed()`.
            rank, rescore, damping: As in the server's documentation.
            estimator: "ekfac", "astra" (closer to the model's exact curvature, and slower) or "identity" (no curvature).
            tokens, layers: Whether to break each score down by token and by layer.
            output_tokens: Whether to report which tokens of a sequence become likelier: `output_tokens()`.
            drop_turns: Whether the first turns of a chat that is longer than the model's context are left out.
            all_scores: Whether the server keeps the scores of all candidates: `all_scores()`, `score_array()`.

        Raises:
            Problem: The server cannot answer the query, or its job failed.
            Unreachable: The server has been silent for longer than `patience`.
        """
        selection: dict[str, Any] = {"limit": limit, "source": source}
        if probe is not None:
            selection["probe"] = probe
        if isinstance(candidates, str):
            selection["prefilter"] = candidates
        elif candidates is not None:
            selection["ids"] = list(candidates)
        query = {
            **_asked(prompt, completion, messages, measurement, combine, contrast, spans), "top_k": top,
            "direction": direction, "candidates": selection,
            "rank": rank, "rescore": rescore, "damping": damping, "estimator": estimator,
            "attribution": {"tokens": tokens, "layers": layers, **({"output_tokens": True} if output_tokens else {})},
            **({"all_scores": True} if all_scores else {}), **({"drop_turns": True} if drop_turns else {}),
        }
        return self._one(query)

    def score(self, texts: str | Iterable[str], prompt: str, completion: str) -> Result:
        """The influence that texts would have as training sequences. The texts need not be in the corpus.

        Each sequence of the result has the position of its text as `index`.
        """
        chosen = [texts] if isinstance(texts, str) else list(texts)
        return self._one({
            "prompt": prompt, "completion": completion, "candidates": {"texts": chosen},
            "attribution": {"tokens": True, "layers": True},
        })

    def scores(
        self, prompt: str, completion: str, texts: Iterable[str | dict[str, Any]], *, contrast: str | None = None,
        spans: None | Span | Iterable[Span] = None, damping: float | None = None, estimator: str | None = None,
        tokens: bool = False, layers: bool = False, output_tokens: bool = False,
    ) -> list[dict[str, Any]]:
        """The influence that each text would have as a training sequence, in the order of the texts, without a job.

        Args:
            texts: Strings, or dicts with "text" and optionally "id".

        Returns:
            One dict per text: index, id if given, score, nats_per_copy, spurious, and the requested attribution.
        """
        attribution = {"tokens": tokens, "layers": layers, "output_tokens": output_tokens}
        body = {
            "prompt": prompt, "completion": completion, **_measurement(completion, contrast, spans), "texts": list(texts),
            "damping": damping, "estimator": estimator, "attribution": attribution,
        }
        return self._patiently(lambda: self.call("/v1/scores", body))["scores"]

    def submit(self, queries: Query | list[Query], key: str | None = None) -> Job:
        """Sends a query or a list of queries in the API's form, and does not wait for the answer.

        The request has an Idempotency-Key, by default a new one, so that sending it again does not create a second job.
        """
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return Job(self, self._patiently(lambda: self.call("/v1/influence", queries, headers=headers)))

    def _one(self, query: Query) -> Result:
        result = self.submit(query).wait()
        assert isinstance(result, Result)
        return result

    def complete(self, prompt: str, *, max_tokens: int = 32, temperature: float = 0, seed: int = 0) -> str:
        """The model's completion of a prompt."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        return self.call("/v1/completions", body)["completion"]

    # Jobs

    def jobs(self, status: str | None = None) -> Iterator[Job]:
        """All jobs, or all with a given status, newest first. Pages are fetched as they are needed."""
        for document in self._pages("/v1/jobs", "jobs", status=status):
            yield Job(self, document)

    def job(self, identifier: str) -> Job:
        """The job with the given id."""
        return Job(self, self.call(f"/v1/jobs/{quote(identifier, safe='')}"))

    # The model and its corpus

    def model(self) -> dict[str, Any]:
        """The model, its tracked layers, its factors, its corpus."""
        return self.call("/v1/model")

    def add(self, records: Iterable[str | dict[str, Any]], batch: int = 1_000) -> dict[str, int]:
        """Adds documents and rows to the corpus: texts, or records of one of four kinds, optionally with "id", "source" and "metadata".

        - {"text"}, with loss on all of it, or with {"loss": [{"start", "end"}, ...]} on parts of it, given as slices of the text;
        - {"prompt", "completion"}, with loss on the completion;
        - {"messages": [{"role", "content"}, ...]}, with loss on the assistant's turns;
        - {"input_ids"}, with loss on all of them, or with {"labels"} where a label is not -100.

        They are sent in batches, and each batch is added completely or not at all. A text that is already in the corpus is not
        stored again, so after an interruption you can simply add the same records again.

        Returns:
            How many documents were added, and how many were duplicates or empty; how many rows were cut to the sequence length;
            and how many were not added because they have no loss, or have it only after the sequence length.
        """
        names = ("added", "duplicates", "empty", "cut", "without_loss", "cut_before_loss", "sequences", "tokens")
        total = dict.fromkeys(names, 0)
        for lines in _batches(records, batch):
            answer = self._patiently(partial(self.call, "/v1/sequences", lines, kind="application/x-ndjson"))
            for name in total:
                # Earlier versions of the server do not count rows with a loss mask.
                total[name] += answer.get(name, 0)
        return total

    def search(self, text: str, limit: int = 10) -> list[dict[str, Any]]:
        """Sequences that match a text by TF-IDF, without regard to influence."""
        return self.call("/v1/search?" + urlencode({"q": text, "limit": limit}))["hits"]

    def sequence(self, identifier: str) -> dict[str, Any]:
        """A training sequence."""
        return self.call(f"/v1/sequences/{quote(identifier, safe='')}")

    def sequences(self, source: str | None = None) -> Iterator[dict[str, Any]]:
        """All training sequences, or all from one source, in the order in which they were added."""
        return self._pages("/v1/sequences", "sequences", source=source)

    # Calls

    def call(
        self, path: str, body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None,
        kind: str = "application/json",
    ) -> Any:
        """Sends a request and returns the server's answer as JSON.

        Args:
            body: A value to send as JSON, or bytes of type `kind`.
        """
        with self._open(path, body, method=method, headers=headers, kind=kind) as response:
            return json.loads(self._read(response))

    def _open(
        self, path: str, body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None,
        kind: str = "application/json",
    ) -> Any:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Accept", "application/json")
        if data is not None:
            request.add_header("Content-Type", kind)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            return self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(error) from None
        except (OSError, HTTPException) as error:
            raise self._silent(error) from None

    def _read(self, response: Any) -> bytes:
        try:
            return response.read()
        except (OSError, HTTPException) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> Unreachable:
        reason = getattr(error, "reason", error)
        return Unreachable(f"{self.url} does not answer ({reason}). Is the server running? `tributary serve` starts it.")

    def _patiently(self, request: Callable[[], Any]) -> Any:
        """Sends a request that can safely be repeated, and retries while the server is silent or answers 503."""
        end, pause = time.monotonic() + self.patience, 0.5
        while True:
            try:
                return request()
            except (Unreachable, Problem) as error:
                if isinstance(error, Problem):
                    if error.status != 503:
                        raise
                    pause = error.retry_after or pause
                if time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 8)

    def _pages(self, path: str, name: str, **items: str | None) -> Iterator[dict[str, Any]]:
        known = {key: value for key, value in items.items() if value is not None}
        while True:
            page = self.call(f"{path}?{urlencode(known)}")
            yield from page[name]
            if "next_cursor" not in page:
                return
            known["cursor"] = page["next_cursor"]

    def __repr__(self) -> str:
        return f"Tributary({self.url!r})"


class Job:
    """A job on the server. It runs whether or not anyone waits for it."""

    def __init__(self, tributary: Tributary, document: dict[str, Any]):
        self._tributary = tributary
        self.document = document
        self.id: str = document["id"]

    @property
    def status(self) -> str:
        """"queued", "running", "succeeded", "failed" or "cancelled", as of the server's last answer."""
        return self.document["status"]

    @property
    def has_ended(self) -> bool:
        return self.status not in ("queued", "running")

    def refresh(self) -> Job:
        """Fetches the job's current state."""
        self.document = self._tributary.call(f"/v1/jobs/{self.id}")
        return self

    def cancel(self) -> Job:
        """Cancels the job; its partial results are discarded."""
        self.document = self._tributary.call(f"/v1/jobs/{self.id}", method="DELETE")
        return self

    def wait(self, timeout: float | None = None, progress: bool | None = None) -> Result | list[Result | Problem]:
        """Waits until the job has ended, across lost connections and restarts of the server, and returns the result.

        An interrupt (KeyboardInterrupt) cancels the job; a timeout does not.

        Raises:
            Problem: The job failed, or was cancelled.
            TimeoutError: The job has not ended in time.
        """
        end = None if timeout is None else time.monotonic() + timeout
        wanted = self._tributary.progress if progress is None else progress
        display = _Display.fitting(wanted)
        try:
            for news in self._news():
                if "status" in news:
                    self.document = {**self.document, **news}
                display.show(self.status, news)
                if end is not None and time.monotonic() > end and not self.has_ended:
                    raise TimeoutError(f"job {self.id} has not ended in {timeout:g} seconds; it is still running")
        except KeyboardInterrupt:
            with suppress(TributaryError):
                self.cancel()
            display.end("cancelled")
            raise
        except BaseException:
            display.end("")
            raise
        display.end(self._summary())
        return self.result()

    def result(self) -> Result | list[Result | Problem]:
        """The result of a job that has ended. A list has one result per query, or a problem for a query that failed."""
        body = self._tributary._patiently(lambda: self._tributary.call(f"/v1/jobs/{self.id}/result"))
        if "results" not in body:
            return Result(body, self)
        return [
            Problem(entry["error"]) if "error" in entry else Result(entry, self, index)
            for index, entry in enumerate(body["results"])
        ]

    def all_scores(self, query: int = 0) -> Any:
        """The scores of all candidates, in the order of the corpus, as a pandas DataFrame; without pandas as dicts: id, score, rescored.

        The query has to ask for them with all_scores. Scores of zero are among them, and so are those that could not be computed,
        as None or NaN. `rescored` says whether a score was computed again with the uncompressed gradient.

        Args:
            query: The index of the query in a list.

        Raises:
            Problem: The job has not ended, or keeps no such scores.
        """
        columns: dict[str, list[Any]] = {"id": [], "score": [], "rescored": []}
        for line in self._scores("scores", query, "application/x-ndjson").splitlines():
            for name, value in json.loads(line).items():
                columns[name].append(value)
        try:
            import pandas
        except ImportError:
            return [dict(zip(columns, row)) for row in zip(*columns.values())]
        return pandas.DataFrame(columns)

    def score_array(self, query: int = 0) -> tuple[list[str], Any]:
        """The ids of all candidates, in the order of the corpus, and their scores as a NumPy array, in which NaN stands for a score that
        could not be computed. Needs NumPy; otherwise as `all_scores`."""
        import numpy

        ids = [json.loads(line) for line in self._scores("scores/ids", query, "application/x-ndjson").splitlines()]
        return ids, numpy.load(io.BytesIO(self._scores("scores", query, "application/x-npy")), allow_pickle=False)

    def _scores(self, path: str, query: int, kind: str) -> bytes:
        def fetch() -> bytes:
            url = f"/v1/jobs/{self.id}/{path}?query={query}"
            with self._tributary._open(url, headers={"Accept": kind}) as response:
                return self._tributary._read(response)

        return self._tributary._patiently(fetch)

    def _summary(self) -> str:
        timings = self.document.get("timings", {})
        return f"{self.status} in {timings['total']:.1f} s" if "total" in timings else self.status

    def _news(self) -> Iterator[dict[str, Any]]:
        """The job or its progress, whenever either has changed, until the job has ended.

        Follows the server's events; if they do not get through, polls.
        """
        last: str | None = None
        has_events, pause = True, 0.2
        while True:
            if has_events:
                try:
                    for event in self._events(last):
                        last, pause = event.id or last, 0.2
                        if event.name in ("status", "progress", "end"):
                            yield json.loads(event.data)
                        if event.name == "end":
                            return
                except Problem as problem:
                    # The job itself exists; only its events are unavailable.
                    if problem.status not in (404, 405, 406, 501, 503):
                        raise
                    has_events = problem.status == 503
                except (OSError, HTTPException, ValueError):
                    pass
            job = self._tributary._patiently(lambda: self._tributary.call(f"/v1/jobs/{self.id}"))
            yield job
            if job["status"] not in ("queued", "running"):
                return
            if "progress" in job:
                yield {"stage": job.get("stage"), **job["progress"]}
            time.sleep(pause)
            pause = min(1.5 * pause, 2)

    def _events(self, last: str | None) -> Iterator[_Event]:
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        with self._tributary._open(f"/v1/jobs/{self.id}/events", headers=headers) as response:
            event = _Event()
            for raw in response:
                line = raw.decode().rstrip("\r\n")
                if not line:
                    if event.data:
                        yield event
                    event = _Event()
                elif not line.startswith(":"):
                    name, _, value = line.partition(":")
                    event.take(name, value[1:] if value.startswith(" ") else value)

    def __repr__(self) -> str:
        title = self.document.get("title")
        said = f" {title['prompt']!r} {title['completion']!r}{_others(title.get('others', 0))}" if title else ""
        return f"<Job {self.id} {self.status}{said}>"


class Result:
    """The training sequences with the most influence on one completion.

    Attributes:
        document: The whole result, as the API returns it.
        sequences: Dicts, strongest first: first the sequences that make the completion likelier, then those that make it less
            likely.
        job: The job that has the result; None for a result that was read from elsewhere.
    """

    def __init__(self, document: dict[str, Any], job: Job | None = None, index: int = 0):
        self.document = document
        self.job = job
        self._index = index
        self.sequences: list[dict[str, Any]] = document["sequences"]

    @property
    def prompt(self) -> str:
        return self.document["query"]["prompt"]

    @property
    def completion(self) -> str:
        return self.document["query"]["completion"]

    @property
    def log_probability(self) -> float:
        """The log-probability of the completion given the prompt, in nats."""
        return self.document["query"]["log_probability"]

    @property
    def measurement(self) -> float:
        """The explained value, in nats: the log-probability of the completion, or of its spans, minus that of the contrast."""
        return self.document["query"].get("measurement", self.log_probability)

    def parts(self) -> Any:
        """What each prompt of a behaviour was worth to the ranking, the largest share first, as a pandas DataFrame; without pandas as
        dicts: prompt, completion, contrast, weight, log_probability, contrast_log_probability, share.

        The shares add up to 1. A negative share pulls against the others. Empty if the query is not about a behaviour.
        """
        parts = self.document["query"].get("parts") or []
        return _frame(sorted(parts, key=lambda part: -part.get("share", 0)))

    @property
    def contrast(self) -> str | None:
        """The other completion, with which `completion` is compared."""
        other = self.document["query"].get("contrast")
        return other["completion"] if other else None

    @property
    def distribution(self) -> dict[str, Any]:
        """The distribution of all scores: a histogram, the power law of the tail, the shares of the top sequences."""
        return self.document.get("distribution") or {}

    @property
    def warnings(self) -> list[str]:
        """What makes the scores doubtful, in sentences, such as factors that were fitted on too few tokens."""
        return self.document.get("warnings") or []

    def sources(self) -> Any:
        """The influence of all scored sequences, summed by source, as a pandas DataFrame; without pandas as dicts."""
        return _frame(self.document.get("sources") or [])

    def all_scores(self) -> Any:
        """The scores of all candidates, if the query asked for them: `Job.all_scores`."""
        return self._job().all_scores(self._index)

    def score_array(self) -> tuple[list[str], Any]:
        """The ids of all candidates and their scores as a NumPy array, if the query asked for them: `Job.score_array`."""
        return self._job().score_array(self._index)

    def _job(self) -> Job:
        if self.job is None:
            raise TributaryError("the result was not fetched from a job, which would have the scores of all candidates")
        return self.job

    def missed(self) -> dict[str, Any] | None:
        """An estimate, from a random sample, of what the candidates have missed: ask with probe=100."""
        return self.document.get("prefilter_bias")

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.sequences)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.sequences[index]

    def rows(self) -> list[dict[str, Any]]:
        """One dict per sequence: rank, score, nats_per_copy, spurious, id, source, text, and the members of its metadata."""
        names = ("rank", "score", "nats_per_copy", "spurious", "id", "source", "text")
        rows = []
        for sequence in self.sequences:
            row = {name: sequence.get(name) for name in names}
            metadata = sequence.get("metadata")
            if isinstance(metadata, dict):
                row = {**metadata, **row}
            rows.append({**{name: row.pop(name) for name in names}, **row})
        return rows

    def table(self) -> Any:
        """The rows as a pandas DataFrame; without pandas as dicts."""
        return _frame(self.rows())

    def tokens(self, index: int = 0) -> Fragment:
        """A sequence with each token coloured by its influence: green makes the completion likelier, red less likely.

        A model learns from a sequence where it predicts a token; the colour is on the token before the predicted one.
        """
        sequence = self.sequences[index]
        if "tokens" not in sequence:
            raise TributaryError("the scores are not broken down by token: ask with tokens=True")
        heading = f"{_name(sequence)} <small>{sequence['score']:+.4g} nats</small>"
        return Fragment(_styled(heading + _paragraph(_heat(sequence["tokens"]))), _marked(sequence["tokens"]))

    def output_tokens(self, index: int = 0) -> Fragment:
        """A sequence with each token coloured by how much likelier it becomes if the model moves towards the query."""
        sequence = self.sequences[index]
        if "output_tokens" not in sequence:
            raise TributaryError("the result does not say which tokens become likelier: ask with output_tokens=True")
        tokens = sequence["output_tokens"]
        heading = f"{_name(sequence)} <small>{sequence['score']:+.4g} nats; marked by which tokens become likelier</small>"
        return Fragment(_styled(heading + _paragraph(_heat(tokens, tip=_likelier))), _marked(tokens))

    def spread(self) -> str:
        """Describes in sentences how influence is distributed over the scored sequences, and what may be missing."""
        return " ".join(_spread(self.document))

    def layers(self, index: int | None = None) -> Fragment:
        """The influence through each layer: of one sequence, or summed over all that make the completion likelier."""
        chosen = [s for s in self.sequences if s["score"] > 0] if index is None else [self.sequences[index]]
        sums: dict[str, float] = {}
        for sequence in chosen:
            if "layers" not in sequence:
                raise TributaryError("the scores are not broken down by layer: ask with layers=True")
            for layer in sequence["layers"]:
                sums[layer["name"]] = sums.get(layer["name"], 0) + layer["score"]
        return _layer_plot(sums)

    def _repr_html_(self) -> str:
        query = self.document["query"]
        rows = "".join(_html_row(sequence) for sequence in self.sequences[:20])
        rest = len(self) - 20
        return _styled(
            f"<p>{html.escape(self._first['prompt'])}{_said(self._first)}{_others(self._further)}<br>"
            f"<small>{self._measured()}log-probability {query['log_probability']:.3f} nats; "
            f"{self.document['candidates']['considered']:,} of {self.document['candidates']['corpus_sequences']:,} "
            f"sequences scored{self._not_finite()}</small></p><table><thead><tr><th>rank</th><th>score</th>"
            '<th style="text-align:left">sequence</th></tr></thead>'
            f"<tbody>{rows}</tbody></table>" + (f"<p><small>and {rest:,} more</small></p>" if rest > 0 else "")
            + f"<p><small>{html.escape(self.spread())}</small></p>"
            + "".join(f"<p><b>Warning:</b> {html.escape(warning)}.</p>" for warning in self.warnings))

    def _not_finite(self) -> str:
        count = self.document["candidates"].get("not_finite") or 0
        return f"; the model overflows on {count:,} of them, which have no score" if count else ""

    def _measured(self) -> str:
        query = self.document["query"]
        is_other = query.get("contrast") or query.get("spans") or query.get("parts")
        return f"explained: {self.measurement:+.3f} nats; " if is_other else ""

    @property
    def _first(self) -> dict[str, Any]:
        """The query, or the first part of a behaviour."""
        query: dict[str, Any] = self.document["query"]
        parts = query.get("parts")
        return {"prompt": parts[0]["prompt"], "completion": parts[0]["completion"]} if parts else query

    @property
    def _further(self) -> int:
        return len(self.document["query"].get("parts") or [None]) - 1

    def __repr__(self) -> str:
        against = f" rather than [{self.contrast}]" if self.contrast else ""
        lines = [
            f"{self._first['prompt']}[{self._first['completion']}]{_others(self._further)}{against}  "
            f"{self._measured()}log-probability {self.log_probability:.3f} nats"]
        for sequence in self.sequences[:20]:
            text = " ".join(sequence["text"].split())
            lines.append(f"{sequence['rank']:>4}  {sequence['score']:>+10.4g}  {sequence['id']:<30.30}  {text[:60]}")
        if len(self) > 20:
            lines.append(f"      and {len(self) - 20:,} more")
        lines += [f"Warning: {warning}." for warning in self.warnings]
        return "\n".join(lines)


@dataclass(frozen=True)
class Fragment:
    """Displayable content: HTML in a notebook, plain text elsewhere."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


# Display

_GREEN, _RED = "46,125,80", "190,60,40"


def _styled(content: str) -> str:
    return f'<div style="max-width:60em;line-height:1.5;text-align:left">{content}</div>'


def _paragraph(content: str) -> str:
    return f'<p dir="auto" style="white-space:pre-wrap">{content}</p>'


def _title(sequence: dict[str, Any]) -> str:
    metadata = sequence.get("metadata")
    title = metadata.get("title") if isinstance(metadata, dict) else None
    return title if isinstance(title, str) and title else sequence["id"]


def _frame(rows: list[dict[str, Any]]) -> Any:
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows)


def _said(query: dict[str, Any]) -> str:
    """The completion, with the explained part in bold, and its contrast."""
    bold = [False] * len(query["completion"])
    for span in query.get("spans") or [{"start": 0, "end": len(bold)}]:
        bold[span["start"] : span["end"]] = [True] * (span["end"] - span["start"])
    said = "".join(
        f"<b>{html.escape(text)}</b>" if is_bold else html.escape(text)
        for is_bold, text in ((key, "".join(c for c, _ in group)) for key, group in itertools.groupby(
            zip(query["completion"], bold), key=lambda pair: pair[1])))
    other = query.get("contrast")
    return said + (f" <small>rather than</small> {html.escape(other['completion'])}" if other else "")


def _spread(document: dict[str, Any]) -> Iterator[str]:
    distribution = document.get("distribution") or {}
    for share in distribution.get("shares") or []:
        if share["part"] == 0.01:
            yield f"The top 1 % of the scored sequences hold {share['share']:.0%} of the positive influence."
    law = distribution.get("power_law")
    if law:
        yield f"The tail follows a power law with exponent {law['exponent']:.2f} ± {law['standard_error']:.2f}."
    sources = document.get("sources") or []
    total = sum(row["positive"] for row in sources)
    if len(sources) > 1 and total > 0:
        first = max(sources, key=lambda row: row["positive"])
        yield (
            f"Of {len(sources)} sources, {first['source'] or 'the one without a name'} holds {first['positive'] / total:.0%} of the "
            "positive influence.")
    bias = document.get("prefilter_bias")
    if bias and "missed_share" in bias:
        yield (
            f"The sequences that were not scored hold an estimated {bias['missed_share']:.0%} ± {bias['missed_share_error']:.0%} of "
            f"all positive influence; {bias['would_rank']} of {bias['sampled']} drawn at random would have been shown.")


def _name(sequence: dict[str, Any]) -> str:
    source = f" <small>({html.escape(str(sequence['source']))})</small>" if sequence.get("source") else ""
    flag = " <small>mostly one token</small>" if sequence["spurious"] else ""
    return f"<b>{html.escape(_title(sequence))}</b>{source}{flag}"


def _html_row(sequence: dict[str, Any]) -> str:
    text = _heat(*_excerpt(sequence["tokens"])) if "tokens" in sequence else html.escape(sequence["text"][:300])
    return (
        f'<tr><td>{sequence["rank"]}</td><td style="white-space:nowrap">{sequence["score"]:+.4g}</td>'
        f'<td style="text-align:left" dir="auto">{_name(sequence)}<br>{text}</td></tr>')


def _strongest(tokens: list[dict[str, Any]]) -> float:
    return max((abs(token["score"]) for token in tokens), default=0.0)


def _excerpt(tokens: list[dict[str, Any]], length: int = 50) -> tuple[list[dict[str, Any]], float]:
    """The part of a sequence around its strongest token, and that token's score."""
    scale = _strongest(tokens)
    peak = next((index for index, token in enumerate(tokens) if abs(token["score"]) == scale), 0)
    start = max(0, min(peak - 2 * length // 3, len(tokens) - length))
    part = tokens[start : start + length]
    ellipsis = {"text": "…", "score": 0.0}
    return ([ellipsis] if start > 0 else []) + part + ([ellipsis] if start + length < len(tokens) else []), scale


def _learned(token: dict[str, Any], after: str) -> str:
    return f"{token['score']:+.4g} for predicting {after!r}"


def _likelier(token: dict[str, Any], _: str) -> str:
    return f"{token['score']:+.4g}: {token['text']!r} becomes {'likelier' if token['score'] > 0 else 'less likely'}"


def _heat(
    tokens: list[dict[str, Any]], scale: float | None = None, tip: Callable[[dict[str, Any], str], str] = _learned
) -> str:
    scale = scale or _strongest(tokens) or 1.0
    parts = []
    for index, token in enumerate(tokens):
        text, share = html.escape(token["text"]), abs(token["score"]) / scale
        if share < 0.05:
            parts.append(text)
            continue
        color = _GREEN if token["score"] > 0 else _RED
        line = "solid" if token["score"] > 0 else "dotted"
        after = tokens[index + 1]["text"] if index + 1 < len(tokens) else "the end"
        title = html.escape(tip(token, after), quote=True)
        # White space before a word is not marked, because it would look like a gap in a bar.
        word = text.lstrip() or text
        parts.append(
            f'{text[: len(text) - len(word)]}<span title="{title}" style="background:rgba({color},{0.08 + 0.47 * share:.2f});'
            f'border-bottom:2px {line} rgb({color})">{word}</span>')
    return "".join(parts)


def _marked(tokens: list[dict[str, Any]]) -> str:
    scale = _strongest(tokens)
    return "".join(
        re.sub(r"^(\s*)(.*?)(\s*)$", r"\1*\2*\3", token["text"], flags=re.S)
        if scale > 0 and abs(token["score"]) >= 0.5 * scale and token["text"].strip() else token["text"]
        for token in tokens)


def _layer_plot(sums: dict[str, float]) -> Fragment:
    """A plot with one row per kind of layer and one column per block of the model."""
    kinds: dict[str, dict[int, float]] = {}
    for name, value in sums.items():
        match = re.match(r"(?:.*?\.)?(\d+)\.(.+)$", name)
        block, kind = (int(match[1]), match[2]) if match else (0, name)
        kinds.setdefault(kind, {})[block] = value
    blocks = sorted({block for row in kinds.values() for block in row})
    scale = max((abs(value) for value in sums.values()), default=0.0) or 1.0
    left, step, half = 110, max(8, min(44, 560 // max(len(blocks), 1))), 30
    shapes = []
    for row, (kind, values) in enumerate(kinds.items()):
        zero = 14 + row * (2 * half + 12) + half
        right = left + step * len(blocks)
        shapes.append(f'<text x="{left - 8}" y="{zero + 4}" text-anchor="end">{html.escape(kind.split(".")[-1])}</text>')
        shapes.append(f'<line x1="{left}" x2="{right}" y1="{zero}" y2="{zero}" stroke="currentColor" stroke-opacity=".4"/>')
        for column, block in enumerate(blocks):
            value = values.get(block, 0.0)
            height = abs(value) / scale * half
            color = _GREEN if value >= 0 else _RED
            shapes.append(
                f'<rect x="{left + column * step + 1}" y="{zero - height if value >= 0 else zero:.2f}" width="{step - 2}" '
                f'height="{height:.2f}" fill="rgb({color})"><title>{html.escape(kind)}, block {block}: {value:+.4g}</title></rect>')
    bottom = 14 + len(kinds) * (2 * half + 12)
    for column, block in enumerate(blocks):
        if len(blocks) <= 16 or column % 4 == 0:
            shapes.append(f'<text x="{left + (column + 0.5) * step}" y="{bottom + 10}" text-anchor="middle">{block}</text>')
    width, height = left + step * len(blocks) + 8, bottom + 18
    label = "Influence through each layer, in nats"
    plot = (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="currentColor" xmlns="http://www.w3.org/2000/svg">{"".join(shapes)}</svg>')
    text = "\n".join(f"{value:>+12.4g}  {name}" for name, value in sorted(sums.items(), key=lambda item: -abs(item[1])))
    return Fragment(_styled(f"<small>{label}; columns are the model's blocks</small><br>{plot}"), text)


class _Display:
    """Shows a job's progress; this class shows nothing."""

    @staticmethod
    def fitting(wanted: bool | None) -> _Display:
        if wanted is False:
            return _Display()
        with suppress(ImportError):
            from IPython import get_ipython  # type: ignore[import-not-found, unused-ignore]

            if getattr(get_ipython(), "kernel", None) is not None:
                return _NotebookDisplay()
        return _TerminalDisplay() if wanted or sys.stderr.isatty() else _Display()

    def __init__(self) -> None:
        self._line = ""

    def show(self, status: str, news: dict[str, Any]) -> None:
        share: float | None = None
        line = "waiting for its turn" if status == "queued" else status
        if news.get("total"):
            share = news["done"] / news["total"]
            line = f"{news.get('stage') or status} {news['done']:,} of {news['total']:,}"
            if news.get("seconds_left"):
                line += f", {news['seconds_left']:.0f} s remaining"
        if line != self._line:
            self._line = line
            self.draw(line, share)

    def draw(self, line: str, share: float | None) -> None:
        pass

    def end(self, line: str) -> None:
        pass


class _TerminalDisplay(_Display):
    def draw(self, line: str, share: float | None) -> None:
        filled = round(24 * (share or 0))
        bar = "" if share is None else f"[{'#' * filled}{'.' * (24 - filled)}] "
        sys.stderr.write(f"\r\033[K{bar}{line}")
        sys.stderr.flush()

    def end(self, line: str) -> None:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


class _NotebookDisplay(_Display):
    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None

    def draw(self, line: str, share: float | None) -> None:
        bar = "" if share is None else f'<progress max="1" value="{share:.3f}"></progress> '
        self._put(f"{bar}<small>{html.escape(line)}</small>", line)

    def end(self, line: str) -> None:
        self._put(f"<small>{html.escape(line)}</small>", line)

    def _put(self, content: str, line: str) -> None:
        from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

        fragment = Fragment(content, line)
        if self._handle is None:
            self._handle = display(fragment, display_id=True)
        else:
            self._handle.update(fragment)


# Requests


def _others(count: int) -> str:
    return f" and {count:,} other{'s' if count > 1 else ''}" if count else ""


def _asked(
    prompt: str | None, completion: str | None, messages: list[dict[str, Any]] | None, measurement: Iterable[Part] | None,
    combine: str | None, contrast: str | None, spans: None | Span | Iterable[Span],
) -> dict[str, Any]:
    """The API's fields that say what is asked about: a prompt with a completion, a chat, or a behaviour."""
    has_pair = prompt is not None or completion is not None
    if [has_pair, messages is not None, measurement is not None].count(True) != 1:
        raise TributaryError("give either a prompt and a completion, or messages, or a measurement")
    if measurement is not None:
        if contrast is not None or spans is not None:
            raise TributaryError("the parts of a measurement have their own contrast; spans are not possible")
        return {"measurement": [_part(part) for part in measurement], "combine": combine}
    if messages is not None:
        last = messages[-1].get("content") if messages else ""
        return {"messages": messages, **_measurement(last if isinstance(last, str) else "", contrast, spans)}
    if prompt is None or completion is None:
        raise TributaryError("give both a prompt and a completion")
    return {"prompt": prompt, "completion": completion, **_measurement(completion, contrast, spans)}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, dict):
        return part
    if isinstance(part, list) and all(isinstance(message, dict) for message in part):
        return {"messages": part}
    return {"prompt": part[0], "completion": part[1]}


def _measurement(completion: str, contrast: str | None, spans: None | Span | Iterable[Span]) -> dict[str, Any]:
    """The API's fields that say what to explain. Spans are in code points, like Python's slices."""
    measurement: dict[str, Any] = {}
    if contrast is not None:
        measurement["contrast"] = contrast
    if spans is not None:
        is_one = isinstance(spans, str) or (isinstance(spans, tuple) and all(isinstance(end, int) for end in spans))
        chosen: Iterable[Any] = [spans] if is_one else spans
        measurement["spans"] = [_span(completion, span) for span in chosen]
    return measurement


def _span(completion: str, span: Span) -> dict[str, int]:
    if not isinstance(span, str):
        return {"start": span[0], "end": span[1]}
    start = completion.find(span)
    if start < 0 or not span:
        raise TributaryError(f"{span!r} is not part of the completion {completion!r}")
    return {"start": start, "end": start + len(span)}


@dataclass
class _Event:
    """A server-sent event (HTML, section 9.2.6)."""

    name: str = "message"
    id: str | None = None
    data: str = ""

    def take(self, name: str, value: str) -> None:
        if name == "event":
            self.name = value
        elif name == "id":
            self.id = value
        elif name == "data":
            self.data += ("\n" if self.data else "") + value


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _problem(error: urllib.error.HTTPError) -> Problem:
    document: Any = None
    with suppress(OSError, ValueError):
        document = json.loads(error.read())
    if not isinstance(document, dict):
        document = {"title": f"Status {error.code}", "detail": f"the server answered with status {error.code} ({error.reason})"}
    return Problem({"status": error.code, **document}, error.headers)


def _batches(records: Iterable[str | dict[str, Any]], count: int, size: int = 2_000_000) -> Iterator[bytes]:
    """Records as NDJSON: at most `count` per batch and, unless a single record is larger, at most `size` bytes."""
    lines: list[bytes] = []
    length = 0
    for record in records:
        line = json.dumps({"text": record} if isinstance(record, str) else record).encode() + b"\n"
        if lines and (len(lines) == count or length + len(line) > size):
            yield b"".join(lines)
            lines, length = [], 0
        lines.append(line)
        length += len(line)
    if lines:
        yield b"".join(lines)
