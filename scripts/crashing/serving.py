"""A server that is killed repeatedly, or runs out of disk space, while clients post jobs and sequences.

The server must not lose anything that it has acknowledged. Every acknowledged job must have the result of an undisturbed server. Every
acknowledged sequence must be in the corpus. An upload must be there completely or not at all. An idempotency key must have created one
job. Both databases must pass their integrity check.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
# Scores of one sequence differ by rounding with the others that share its micro-batch.
TOLERANCE = 1e-4


class Gone(Exception):
    """The server did not answer: it was killed, or has not started yet."""


class Server:
    """One process after another on one workspace and one port."""

    def __init__(self, binary: str, model: str, folder: pathlib.Path, workspace: pathlib.Path):
        self.command = [binary, "serve", "--model", model, "--workspace", str(workspace)]
        self.workspace = workspace
        self.log = folder / f"{workspace.name}.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "config.yaml"
        # Nothing is given up for its deaths here, as all of them are ours.
        config.write_text(
            "jobs:\n  maximum_attempts: 1000\n  keep_count: 1000000\nbatching:\n  checkpoint_seconds: 0.1\n"
            f"server:\n  port: {self.port}\n  shutdown_grace_seconds: 60\n"
        )
        self.command += ["--config", str(config)]
        self.process: subprocess.Popen | None = None

    def start(self, environment: dict | None = None) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, env=environment, stderr=log, stdout=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            data = reply.read()
            return reply.status, dict((name.lower(), value) for name, value in reply.getheaders()), data
        except (OSError, http.client.HTTPException) as error:
            raise Gone(str(error)) from error
        finally:
            connection.close()

    def send_and_leave(self, path: str, body: bytes, headers: dict) -> None:
        """Posts without waiting for the answer, as a client does whose connection breaks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", path, body, headers)
            time.sleep(0.01)
        except OSError as error:
            raise Gone(str(error)) from error
        finally:
            connection.close()

    def wait_until_ready(self, seconds: float = 300, may_end: bool = False) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                if may_end:
                    return False
                sys.exit(f"the server ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return True
            except Gone:
                pass
            time.sleep(0.01)
        sys.exit(f"the server is not ready after {seconds} s:\n{self.log.read_text()[-3000:]}")

    def wait_for(self, path: str, seconds: float = 600) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status, _, data = self.ask("GET", path)
            job = json.loads(data)
            if status != 200:
                return job
            if job["status"] not in ("queued", "running"):
                return job
            time.sleep(0.02)
        return job


def make_corpus(folder: pathlib.Path, rng: random.Random, count: int) -> pathlib.Path:
    """Texts of the words of another corpus, in any order."""
    words = " ".join(
        json.loads(line)["text"] for line in (ROOT / "Tests/Fixtures/oracle/corpus.jsonl").read_text().splitlines()
    ).split()
    file = folder / "corpus.jsonl"
    with file.open("w") as out:
        for index in range(count):
            text = " ".join(rng.choices(words, k=rng.randint(20, 60)))
            out.write(json.dumps({"id": f"base-{index}", "text": text, "source": "base"}) + "\n")
    return file


def make_requests(rng: random.Random, count: int) -> list[bytes]:
    """Questions large and small. Which sequences they are about does not depend on what is added to the corpus."""
    prompts = ["In the beginning God created", "And the LORD said", "The heaven and the", "Let there be"]
    ends = [" the heaven and the earth.", " light.", " unto Moses,", " day and night."]

    def query(large: bool) -> dict:
        candidates = {"prefilter": "all", "source": "base"}
        if not large:
            candidates = {"ids": [f"base-{index}" for index in sorted(rng.sample(range(count), 20))]}
        return {
            "prompt": rng.choice(prompts), "completion": rng.choice(ends), "candidates": candidates,
            "rescore": rng.choice([0, 5, 30]), "direction": rng.choice(["positive", "both"]), "top_k": 10,
            "attribution": {"layers": rng.random() < 0.3, "tokens": rng.random() < 0.3},
        }  # fmt: skip

    asked = [query(large=index % 2 == 0) for index in range(12)]
    asked += [[query(large=False) for _ in range(3)], [query(large=True), query(large=False)]]
    return [json.dumps(body).encode() for body in asked]


def results(server: Server, path: str) -> list[list[tuple[str, float]]]:
    status, _, data = server.ask("GET", path + "/result")
    document = json.loads(data)
    if status != 200:
        raise ValueError(f"{path}/result: {status} {document.get('detail')}")
    entries = document["results"] if "results" in document else [document]
    return [[(sequence["id"], sequence["score"]) for sequence in entry["sequences"]] for entry in entries]


def differences(found: list, expected: list) -> list[str]:
    """What is not the same; sequences whose scores are alike may change places."""
    if len(found) != len(expected):
        return [f"{len(found)} results in place of {len(expected)}"]
    wrong = []
    for ours, theirs in zip(found, expected):
        if len(ours) != len(theirs):
            wrong.append(f"{len(ours)} sequences in place of {len(theirs)}")
            continue
        largest = max((abs(score) for _, score in theirs), default=0)
        by_id = dict(theirs)
        for place, (name, score) in enumerate(ours):
            if abs(score - theirs[place][1]) > TOLERANCE * largest:
                wrong.append(f"place {place} has the score {score} in place of {theirs[place][1]}")
            elif name in by_id and abs(score - by_id[name]) > TOLERANCE * largest:
                wrong.append(f"{name} has the score {score} in place of {by_id[name]}")
    return wrong


class Client(threading.Thread):
    """Does one thing after the other until it is told to stop, whatever happens to the server."""

    def __init__(self, server: Server, seed: int):
        super().__init__(daemon=True)
        self.server = server
        self.rng = random.Random(seed)
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self.step()
            except Gone:
                time.sleep(0.02)


class Poster(Client):
    def __init__(self, server: Server, seed: int, requests: list[bytes]):
        super().__init__(server, seed)
        self.requests = requests
        # Location and the request's index, of each job that was acknowledged.
        self.accepted: list[tuple[str, int]] = []
        self.open: list[str] = []
        # Keys with the request's index and the job, where that is known.
        self.keys: dict[str, list] = {}
        self.unanswered: list[str] = []
        self.replays = 0
        # How many were answered with 507.
        self.refused = 0
        self.mistakes: list[str] = []

    def step(self) -> None:
        if self.unanswered and self.rng.random() < 0.7:
            self.post(self.unanswered[0])
        elif len(self.open) >= 10:
            path = self.rng.choice(self.open)
            status, _, data = self.server.ask("GET", path)
            if status != 200:
                self.mistakes.append(f"{path}: {status} for an acknowledged job")
                self.open.remove(path)
            elif json.loads(data)["status"] not in ("queued", "running"):
                self.open.remove(path)
            time.sleep(0.02)
        elif self.rng.random() < 0.5:
            key = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
            self.keys[key] = [self.rng.randrange(len(self.requests)), None]
            self.unanswered.append(key)
            self.post(key)
        else:
            self.post(None)

    def post(self, key: str | None) -> None:
        index = self.keys[key][0] if key else self.rng.randrange(len(self.requests))
        headers = {**JSON, **({"Idempotency-Key": key} if key else {})}
        if key and self.rng.random() < 0.2:
            self.server.send_and_leave("/v1/influence", self.requests[index], headers)
            return
        status, fields, data = self.server.ask("POST", "/v1/influence", self.requests[index], headers)
        if status in (503, 507):
            self.refused += status == 507
            time.sleep(0.02)
        elif status != 202:
            self.mistakes.append(f"POST /v1/influence: {status} {data[:200]!r}")
        else:
            path = fields["location"]
            self.replays += fields.get("idempotent-replayed") == "true"
            self.accepted.append((path, index))
            self.open.append(path)
            if key:
                self.keys[key][1] = path
                self.unanswered.remove(key)


class Ingester(Client):
    def __init__(self, server: Server, seed: int):
        super().__init__(server, seed)
        self.accepted: list[dict[str, str]] = []
        self.unanswered: list[dict[str, str]] = []
        # Answered with 507.
        self.refused: list[dict[str, str]] = []
        self.count = 0
        self.mistakes: list[str] = []

    def step(self) -> None:
        upload = {}
        for _ in range(self.rng.randint(1, 5)):
            upload[f"added-{self.count}"] = f"Sequence {self.count} was added, with the word w{self.rng.getrandbits(60):x}."
            self.count += 1
        lines = "".join(json.dumps({"id": i, "text": text, "source": "added"}) + "\n" for i, text in upload.items())
        self.unanswered.append(upload)
        status, _, data = self.server.ask("POST", "/v1/sequences", lines.encode(), LINES)
        if status == 200:
            self.unanswered.remove(upload)
            self.accepted.append(upload)
        elif status in (503, 507):
            if status == 507:
                # Refused, and so known not to be there.
                self.unanswered.remove(upload)
                self.refused.append(upload)
            time.sleep(0.02)
        else:
            self.mistakes.append(f"POST /v1/sequences: {status} {data[:200]!r}")
        time.sleep(self.rng.uniform(0, 0.1))


def undisturbed(server: Server, requests: list[bytes]) -> tuple[list, float]:
    """Each request's results from a server that is left alone."""
    server.start()
    server.wait_until_ready()
    start = time.monotonic()
    expected = []
    for body in requests:
        status, fields, data = server.ask("POST", "/v1/influence", body, JSON)
        if status != 202:
            sys.exit(f"POST /v1/influence: {status} {data!r}")
        server.wait_for(fields["location"])
        expected.append(results(server, fields["location"]))
    seconds = time.monotonic() - start
    if server.stop() != 0:
        sys.exit("the server did not stop with status 0")
    return expected, seconds


def check_jobs(server: Server, poster: Poster, expected: list) -> tuple[int, list[str]]:
    equal, wrong = 0, []
    for path, index in poster.accepted:
        job = server.wait_for(path)
        try:
            mistakes = differences(results(server, path), expected[index])
        except ValueError as error:
            mistakes = [str(error)]
        if job.get("status") != "succeeded":
            mistakes.append(f"{path} is {job.get('status')}")
        wrong += [f"{path}: {mistake}" for mistake in mistakes]
        equal += not mistakes
    return equal, wrong


def check_keys(server: Server, poster: Poster) -> list[str]:
    wrong = []
    for key, (index, path) in poster.keys.items():
        status, fields, _ = server.ask("POST", "/v1/influence", poster.requests[index], {**JSON, "Idempotency-Key": key})
        if path and (status != 202 or fields["location"] != path or fields.get("idempotent-replayed") != "true"):
            wrong.append(f"the key {key} gave {fields.get('location')} in place of {path}")
    return wrong


def check_sequences(server: Server, ingester: Ingester) -> tuple[int, int, list[str]]:
    def text(name: str) -> str | None:
        status, _, data = server.ask("GET", "/v1/sequences/" + urllib.parse.quote(name, safe=""))
        return json.loads(data)["text"] if status == 200 else None

    found, partial, wrong = 0, 0, []
    for upload in ingester.accepted:
        for name, expected in upload.items():
            if text(name) == expected:
                found += 1
            else:
                wrong.append(f"the sequence {name} is lost")
    for upload in ingester.unanswered:
        there = [text(name) is not None for name in upload]
        if any(there) and not all(there):
            partial += 1
            wrong.append(f"of the upload {list(upload)} there is a part")
    for upload in ingester.refused:
        wrong += [f"the sequence {name} was refused, and is there" for name in upload if text(name) is not None]
    return found, partial, wrong


def integrity(file: pathlib.Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute("PRAGMA integrity_check").fetchone()[0]




class Round:
    """How a server's life ended, or what it went through."""

    def __init__(self, server: Server, rng: random.Random, longest: float):
        self.server, self.rng, self.longest = server, rng, longest

    def at_a_moment(self) -> None:
        """SIGKILL at any moment, also while it starts."""
        self.server.start()
        if self.rng.random() < 0.15:
            time.sleep(self.rng.uniform(0, 0.3))
        else:
            self.server.wait_until_ready()
            time.sleep(self.rng.uniform(0, self.longest))
        self.server.kill()

    def at_a_write(self, points, half: bool) -> None:
        """SIGKILL at one of its first writes, or the next ones while it answers."""
        at = int(2 ** self.rng.uniform(0, 9))
        self.server.start(points.environment(self.server.workspace, at, half))
        deadline = time.monotonic() + 20
        while self.server.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self.server.kill()

    def without_space(self, disk) -> bool:
        """The disk fills up while it answers, for a while, and it goes on.

        - Returns: Whether it lived on.
        """
        self.server.start()
        self.server.wait_until_ready()
        time.sleep(self.rng.uniform(0, 0.3))
        filler = disk.leave(self.rng.choice([0, 4096, 16384, 65536, 262144]))
        time.sleep(self.rng.uniform(0.3, self.longest))
        filler.remove()
        time.sleep(0.2)
        lived = self.server.process.poll() is None
        self.server.kill()
        return lived
