# SPDX-License-Identifier: Apache-2.0
"""Asks a Tributary server which training sequences made a language model say something.

A server gives this file to everyone:

    from urllib.request import urlretrieve
    urlretrieve("http://127.0.0.1:8080/client.py", "tributary.py")

    from tributary import Tributary
    tributary = Tributary("http://127.0.0.1:8080")
    result = tributary.explain("Hamlet is a tragedy written by William", " Shakespeare")

    result              # in a notebook: the ranked sequences, with their influential tokens marked
    result.table()      # a pandas DataFrame, or without pandas a list of dicts
    result.tokens(0)    # the first sequence, each token coloured by its influence
    result.layers()     # the influence through each layer, as a plot

It needs Python 3.9 or later and nothing else; pandas and IPython are used where they are there. Scores are in nats: positive ones
make the completion likelier.
"""

from __future__ import annotations

import html
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
# A part of a completion: words of it, or where it starts and ends.
Span = Union[str, tuple[int, int]]


class TributaryError(Exception):
    """Whatever this module raises of its own."""


class Unreachable(TributaryError, ConnectionError):
    """The server did not answer. A job that it has acknowledged goes on when it is back."""


class Problem(TributaryError):
    """What the server has against a request, or why a query has no result (RFC 9457).

    `name` is stable: "unusable-field", "queue-full"; a GET of `type` explains it. `detail` says what to do. `field` is the path
    of the member at fault, `line` that of a record among several, `retry_after` how many seconds to wait before trying again.
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
        url: Where it is.
        token: What `tributary token create` gave, where the server wants one; else that of the environment's TRIBUTARY_TOKEN.
        timeout: Seconds of silence after which a connection is taken for broken.
        patience: Seconds for which a server that does not answer is tried again, as it may be starting anew.
        progress: Whether to show how far a job is; by default in notebooks and on terminals.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8080", token: str | None = None, *, timeout: float = 60,
        patience: float = 60, progress: bool | None = None,
    ):
        self.url = url.rstrip("/")
        self.timeout, self.patience, self.progress = timeout, patience, progress
        self._token = token or os.environ.get("TRIBUTARY_TOKEN")
        # A redirection could take the token elsewhere.
        self._opener = urllib.request.build_opener(_NoRedirection)

    # Asking

    def explain(
        self, prompt: str, completion: str, *, contrast: str | None = None, spans: None | Span | Iterable[Span] = None,
        top: int | None = None, direction: str = "both",
        candidates: None | str | Iterable[str] = None, limit: int | None = None, source: str | None = None,
        probe: int | None = None, rank: None | int | str = None, rescore: int | None = None, damping: float | None = None,
        estimator: str | None = None, tokens: bool = True, layers: bool = True, output_tokens: bool = False,
    ) -> Result:
        """The training sequences that made the model continue `prompt` with `completion`.

        Waits for the answer. Interrupting it (KeyboardInterrupt) cancels the job on the server.

        Args:
            contrast: Another completion of the prompt: scores then tell what made the one likelier than the other.
            spans: The part of the completion to explain, or several: words of it, or (start, end) as in a slice. All of it by
                default.
            top: How many sequences each way.
            direction: "positive" for those that made it likelier, "negative" for less likely, or "both".
            candidates: "tfidf" for those that share words with the question, "index" for those whose gradients are alike
                (where the server has an index), "both", "all", or ids of sequences or documents.
            limit: How many sequences are looked at, unless it is all.
            source: Only sequences of this source.
            probe: So many others are scored too, drawn at random, to estimate what was missed: `missed()`.
            rank, rescore, damping: As in the server's documentation.
            estimator: "ekfac", "astra" (nearer to the model's own curvature, and slower) or "identity" (no curvature).
            tokens, layers: Whether each score is broken down.
            output_tokens: Whether it is told which tokens of a sequence become likelier: `output_tokens()`.

        Raises:
            Problem: The question cannot be answered as it stands, or its job failed.
            Unreachable: The server has been silent for longer than its patience.
        """
        selection: dict[str, Any] = {"limit": limit, "source": source}
        if probe is not None:
            selection["probe"] = probe
        if isinstance(candidates, str):
            selection["prefilter"] = candidates
        elif candidates is not None:
            selection["ids"] = list(candidates)
        query = {
            "prompt": prompt, "completion": completion, **_measurement(completion, contrast, spans), "top_k": top,
            "direction": direction, "candidates": selection,
            "rank": rank, "rescore": rescore, "damping": damping, "estimator": estimator,
            "attribution": {"tokens": tokens, "layers": layers, **({"output_tokens": True} if output_tokens else {})},
        }
        return self._one(query)

    def score(self, texts: str | Iterable[str], prompt: str, completion: str) -> Result:
        """The influence that texts would have as training sequences; they need not be in the corpus.

        Each sequence of the result has the place of its text as `index`.
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
        """The influence that each of some texts would have, in their order, answered at once and without a job.

        Args:
            texts: Each a text, or a dict of "text" and, to tell it by, "id".

        Returns:
            A dict a text: index, id where there is one, score, nats_per_copy, spurious, and what was asked for.
        """
        attribution = {"tokens": tokens, "layers": layers, "output_tokens": output_tokens}
        body = {
            "prompt": prompt, "completion": completion, **_measurement(completion, contrast, spans), "texts": list(texts),
            "damping": damping, "estimator": estimator, "attribution": attribution,
        }
        return self._patiently(lambda: self.call("/v1/scores", body))["scores"]

    def submit(self, queries: Query | list[Query], key: str | None = None) -> Job:
        """Sends a query, or a list of them, as the API takes it, and does not wait for the answer.

        The request has an Idempotency-Key, a new one if none is given, so that sending it again makes no second job.
        """
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return Job(self, self._patiently(lambda: self.call("/v1/influence", queries, headers=headers)))

    def _one(self, query: Query) -> Result:
        result = self.submit(query).wait()
        assert isinstance(result, Result)
        return result

    def complete(self, prompt: str, *, max_tokens: int = 32, temperature: float = 0, seed: int = 0) -> str:
        """What the model goes on with."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        return self.call("/v1/completions", body)["completion"]

    # Jobs

    def jobs(self, status: str | None = None) -> Iterator[Job]:
        """Every job, the newest first, or those of a status. Pages are fetched as they are needed."""
        for document in self._pages("/v1/jobs", "jobs", status=status):
            yield Job(self, document)

    def job(self, identifier: str) -> Job:
        """The job of an id."""
        return Job(self, self.call(f"/v1/jobs/{quote(identifier, safe='')}"))

    # The model and its corpus

    def model(self) -> dict[str, Any]:
        """The model, its tracked layers, its factors, its corpus."""
        return self.call("/v1/model")

    def add(self, records: Iterable[str | dict[str, Any]], batch: int = 1_000) -> dict[str, int]:
        """Adds to the corpus: texts, or records with "text" and if you like "id", "source" and "metadata".

        They are sent in batches, of each of which all is added or nothing. A text that the corpus has is kept once, so that
        what was interrupted can simply be added again.

        Returns:
            How many documents were added, and how many were duplicates or empty.
        """
        total = {"added": 0, "duplicates": 0, "empty": 0, "sequences": 0, "tokens": 0}
        for lines in _batches(records, batch):
            answer = self._patiently(partial(self.call, "/v1/sequences", lines, kind="application/x-ndjson"))
            for name in total:
                total[name] += answer[name]
        return total

    def search(self, text: str, limit: int = 10) -> list[dict[str, Any]]:
        """Sequences that share telling words with a text; this knows nothing of influence."""
        return self.call("/v1/search?" + urlencode({"q": text, "limit": limit}))["hits"]

    def sequence(self, identifier: str) -> dict[str, Any]:
        """A training sequence."""
        return self.call(f"/v1/sequences/{quote(identifier, safe='')}")

    def sequences(self, source: str | None = None) -> Iterator[dict[str, Any]]:
        """Every training sequence, or those of a source, in the order in which they were added."""
        return self._pages("/v1/sequences", "sequences", source=source)

    # Calls

    def call(
        self, path: str, body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None,
        kind: str = "application/json",
    ) -> Any:
        """What the server answers to a request, as JSON.

        Args:
            body: JSON, or bytes of some other kind.
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
        """Sends a request that may be sent twice, again while the server is silent or says that it will soon answer."""
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
    """A question on its way. It goes on without anyone who waits for it."""

    def __init__(self, tributary: Tributary, document: dict[str, Any]):
        self._tributary = tributary
        self.document = document
        self.id: str = document["id"]

    @property
    def status(self) -> str:
        """"queued", "running", "succeeded", "failed" or "cancelled", as it was when the server was last asked."""
        return self.document["status"]

    @property
    def has_ended(self) -> bool:
        return self.status not in ("queued", "running")

    def refresh(self) -> Job:
        """Asks how far it is."""
        self.document = self._tributary.call(f"/v1/jobs/{self.id}")
        return self

    def cancel(self) -> Job:
        """Ends it; what it has found so far is not kept."""
        self.document = self._tributary.call(f"/v1/jobs/{self.id}", method="DELETE")
        return self

    def wait(self, timeout: float | None = None, progress: bool | None = None) -> Result | list[Result | Problem]:
        """Waits for the end, over lost connections and restarts of the server, and returns the result.

        Interrupting it (KeyboardInterrupt) cancels the job; a time-out does not.

        Raises:
            Problem: The job failed, or was cancelled.
            TimeoutError: It has not ended in time.
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
                    raise TimeoutError(f"job {self.id} has not ended in {timeout:g} seconds; it goes on")
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
        """The result of a job that has ended; of a list one result a query, a problem where a query has none."""
        body = self._tributary._patiently(lambda: self._tributary.call(f"/v1/jobs/{self.id}/result"))
        if "results" not in body:
            return Result(body)
        return [Problem(entry["error"]) if "error" in entry else Result(entry) for entry in body["results"]]

    def _summary(self) -> str:
        timings = self.document.get("timings", {})
        return f"{self.status} in {timings['total']:.1f} s" if "total" in timings else self.status

    def _news(self) -> Iterator[dict[str, Any]]:
        """The job, or its progress, whenever there is something new, until it has ended.

        Told by the server as events; where these do not come, asked for.
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
                    # A job of this id is there: what is not there are its events.
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
        said = f" {title['prompt']!r} {title['completion']!r}" if title else ""
        return f"<Job {self.id} {self.status}{said}>"


class Result:
    """The training sequences of most influence on one completion.

    Attributes:
        document: All of it, as the API has it.
        sequences: As dicts: first those that make the completion likelier, the strongest first; then those that make it less so.
    """

    def __init__(self, document: dict[str, Any]):
        self.document = document
        self.sequences: list[dict[str, Any]] = document["sequences"]

    @property
    def prompt(self) -> str:
        return self.document["query"]["prompt"]

    @property
    def completion(self) -> str:
        return self.document["query"]["completion"]

    @property
    def log_probability(self) -> float:
        """Of the completion given the prompt, in nats."""
        return self.document["query"]["log_probability"]

    @property
    def measurement(self) -> float:
        """What is explained, in nats: the log-probability of the completion, or of its spans, less that of the contrast."""
        return self.document["query"].get("measurement", self.log_probability)

    @property
    def contrast(self) -> str | None:
        """The completion that the other is held against."""
        other = self.document["query"].get("contrast")
        return other["completion"] if other else None

    @property
    def distribution(self) -> dict[str, Any]:
        """How all scores are distributed: a histogram, the power law of the tail, the shares of the strongest."""
        return self.document.get("distribution") or {}

    def sources(self) -> Any:
        """The influence of all that was scored, summed by source, as a pandas DataFrame; without pandas as dicts."""
        return _frame(self.document.get("sources") or [])

    def missed(self) -> dict[str, Any] | None:
        """What the choice of candidates has missed, as a sample of the others tells: ask with probe=100."""
        return self.document.get("prefilter_bias")

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.sequences)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.sequences[index]

    def rows(self) -> list[dict[str, Any]]:
        """A dict a sequence: rank, score, nats_per_copy, spurious, id, source, text, and whatever its metadata has."""
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
        """The rows as a pandas DataFrame; without pandas as they are."""
        return _frame(self.rows())

    def tokens(self, index: int = 0) -> Fragment:
        """A sequence with each token coloured by its influence: green makes the completion likelier, red less likely.

        What a model learns from a sequence it learns where it predicts a token: the colour stands on the token before that one.
        """
        sequence = self.sequences[index]
        if "tokens" not in sequence:
            raise TributaryError("the scores are not broken down by token: ask with tokens=True")
        heading = f"{_name(sequence)} <small>{sequence['score']:+.4g} nats</small>"
        return Fragment(_styled(heading + _paragraph(_heat(sequence["tokens"]))), _marked(sequence["tokens"]))

    def output_tokens(self, index: int = 0) -> Fragment:
        """A sequence with each token coloured by how much likelier it becomes if the model moves towards the question."""
        sequence = self.sequences[index]
        if "output_tokens" not in sequence:
            raise TributaryError("it was not asked which tokens become likelier: ask with output_tokens=True")
        tokens = sequence["output_tokens"]
        heading = f"{_name(sequence)} <small>{sequence['score']:+.4g} nats; what becomes likelier</small>"
        return Fragment(_styled(heading + _paragraph(_heat(tokens, tip=_likelier))), _marked(tokens))

    def spread(self) -> str:
        """How influence is spread over what was scored, and what may be missing, in sentences."""
        return " ".join(_spread(self.document))

    def layers(self, index: int | None = None) -> Fragment:
        """The influence through each layer: of a sequence, or summed over all that make the completion likelier."""
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
            f"<p>{html.escape(query['prompt'])}{_said(query)}<br>"
            f"<small>{self._measured()}log-probability {query['log_probability']:.3f} nats; "
            f"{self.document['candidates']['considered']:,} of {self.document['candidates']['corpus_sequences']:,} "
            f"sequences scored{self._not_finite()}</small></p><table><thead><tr><th>rank</th><th>score</th>"
            '<th style="text-align:left">sequence</th></tr></thead>'
            f"<tbody>{rows}</tbody></table>" + (f"<p><small>and {rest:,} more</small></p>" if rest > 0 else "")
            + f"<p><small>{html.escape(self.spread())}</small></p>")

    def _not_finite(self) -> str:
        count = self.document["candidates"].get("not_finite") or 0
        return f"; on {count:,} of them the model overflows, and they have no score" if count else ""

    def _measured(self) -> str:
        query = self.document["query"]
        return f"explained: {self.measurement:+.3f} nats; " if query.get("contrast") or query.get("spans") else ""

    def __repr__(self) -> str:
        against = f" rather than [{self.contrast}]" if self.contrast else ""
        lines = [
            f"{self.prompt}[{self.completion}]{against}  {self._measured()}log-probability {self.log_probability:.3f} nats"]
        for sequence in self.sequences[:20]:
            text = " ".join(sequence["text"].split())
            lines.append(f"{sequence['rank']:>4}  {sequence['score']:>+10.4g}  {sequence['id']:<30.30}  {text[:60]}")
        if len(self) > 20:
            lines.append(f"      and {len(self) - 20:,} more")
        return "\n".join(lines)


@dataclass(frozen=True)
class Fragment:
    """Something to look at: HTML in a notebook, plain text elsewhere."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


# How things look

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
    """The completion, of which the part that is explained is bold, and what it is held against."""
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
            yield f"The top 1 % of what was scored hold {share['share']:.0%} of the positive influence."
    law = distribution.get("power_law")
    if law:
        yield f"The tail falls as a power law of exponent {law['exponent']:.2f} ± {law['standard_error']:.2f}."
    sources = document.get("sources") or []
    total = sum(row["positive"] for row in sources)
    if len(sources) > 1 and total > 0:
        first = max(sources, key=lambda row: row["positive"])
        yield f"{first['source'] or 'No source'} has {first['positive'] / total:.0%} of it, of {len(sources)} sources."
    bias = document.get("prefilter_bias")
    if bias and "missed_share" in bias:
        yield (
            f"What was not scored holds an estimated {bias['missed_share']:.0%} ± {bias['missed_share_error']:.0%} of all positive "
            f"influence; {bias['would_rank']} of {bias['sampled']} drawn at random would have been shown.")


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
    """The part of a sequence with its strongest token, and that token's score."""
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
        # White space before a word is left unmarked: it would look like a gap in a bar.
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
    """A row for each kind of layer, a column for each block of the model."""
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
    """Shows how far a job is; this one shows nothing."""

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
                line += f", {news['seconds_left']:.0f} s left"
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


# How things are sent


def _measurement(completion: str, contrast: str | None, spans: None | Span | Iterable[Span]) -> dict[str, Any]:
    """What of a completion is explained, as the API takes it. Its spans are in code points, as Python's slices are."""
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
        raise TributaryError(f"{span!r} is no part of the completion {completion!r}")
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
    """Records as NDJSON, at most so many and, but for a single one, at most so many bytes together."""
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
