"""The commands that write files: what each starts from, what must be true whenever it was killed, and what its last run must produce."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import struct
import subprocess

WORDS = "mill river stone lamp cart field north bell rope glass wheel barn stands by the of and on is a old".split()


def hashes(folder: pathlib.Path, names: list[str] | None = None) -> dict[str, str]:
    """The digest of each file of a folder; nothing for a folder that is not there."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files if file.is_file() and (names is None or file.name in names)
    }  # fmt: skip


class Command:
    """One command, from a template folder on.

    A round copies the template, kills the command somewhere, checks the files (`look`), runs it again to its end and compares
    (`compare`). A subclass says which of these are right.
    """

    name = ""
    # Files from which the work is taken up, and which may go only when its outcome is safe.
    states: tuple[str, ...] = ()

    def __init__(self, setting: "Setting"):
        self.setting = setting
        self.template = setting.folder / f"{self.name}-template"
        self.prepare()

    def prepare(self) -> None:
        """Makes the template."""

    def arguments(self, place: pathlib.Path) -> list[str]:
        raise NotImplementedError

    def learn(self, place: pathlib.Path) -> None:
        """Keeps what an undisturbed run has given."""

    def look(self, place: pathlib.Path, calls: list[tuple[str, str, str]]) -> list[str]:
        """Mistakes in what an ended run has left."""
        return []

    def compare(self, place: pathlib.Path, before, error: str) -> list[str]:
        """Mistakes in what the run after that has made."""
        return []

    def remember(self, place: pathlib.Path):
        """What the next run has to take up."""

    def suffices(self, free: int) -> bool:
        """Whether the command must succeed with this many free bytes."""
        return False

    def run(self, place: pathlib.Path, environment: dict | None = None) -> tuple[int, str, str]:
        process = subprocess.run(
            [self.setting.binary, *self.arguments(place)], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=300,
        )  # fmt: skip
        return process.returncode, process.stdout, process.stderr


class Setting:
    """The program, a small model, a folder for everything, and texts."""

    def __init__(self, binary: str, model: str, folder: pathlib.Path, rng):
        self.binary, self.model, self.folder, self.rng = binary, model, folder, rng

    def corpus(self, name: str, count: int) -> pathlib.Path:
        file = self.folder / name
        with file.open("w") as out:
            for index in range(count):
                text = " ".join(self.rng.choices(WORDS, k=self.rng.randint(8, 14))) + f" {index}."
                out.write(json.dumps({"id": f"{name}-{index}", "text": text}) + "\n")
        return file

    def place(self, workspace: pathlib.Path) -> list[str]:
        return ["--model", self.model, "--workspace", str(workspace)]

    def call(self, *arguments: str) -> str:
        process = subprocess.run([self.binary, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if process.returncode != 0:
            raise SystemExit(f"crashtest: {arguments[0]} ended with {process.returncode}: {process.stderr[-2000:]}")
        return process.stdout


def leftovers(place: pathlib.Path) -> list[str]:
    found = [file.relative_to(place) for file in place.rglob(".*")]
    return [f"left behind: {name}" for name in found if ".writing-" in name.name or name.name.endswith(".partial")]


class Fit(Command):
    """A fit in place of earlier factors: they are there until the new ones are, and its state is there until then."""

    name = "fit"
    states = ("fit-state.safetensors",)

    def prepare(self) -> None:
        place = self.setting.place(self.template)
        self.setting.call("import", *place, str(self.setting.corpus("fit.jsonl", 120)))
        self.setting.call("fit", *place, "--workers", "2", "--seed", "1", "--max-sequences", "20")
        self.old = hashes(self.template / "factors")

    def arguments(self, place: pathlib.Path) -> list[str]:
        return ["fit", *self.setting.place(place), "--workers", "2", "--seed", "2"]

    def learn(self, place: pathlib.Path) -> None:
        self.new = hashes(place / "factors")
        self.size = sum(file.stat().st_size for file in (place / "factors").iterdir())
        # A state takes more than the factors.
        self.space = 3 * self.size

    def suffices(self, free: int) -> bool:
        # The factors and what SQLite needs: without space for a state there is none, and the fit goes on.
        return free > 1.1 * self.size + (1 << 18)

    def look(self, place: pathlib.Path, calls) -> list[str]:
        found = hashes(place / "factors")
        if found not in (self.old, self.new):
            return ["the factors are neither the old ones nor the new ones"]
        saved = any(call == "rename" and other.endswith(self.states[0]) for call, _, other in calls)
        if saved and found == self.old and not (place / self.states[0]).exists() and not self.was_last(calls):
            return ["the state that was saved is gone, and the new factors are not there"]
        return []

    @staticmethod
    def was_last(calls) -> bool:
        """Whether the rename that would have brought the state into its place is the call that was not made."""
        return bool(calls) and calls[-1][0] == "rename" and calls[-1][2].endswith("fit-state.safetensors")

    def remember(self, place: pathlib.Path) -> bool:
        return (place / self.states[0]).exists()

    def compare(self, place: pathlib.Path, before: bool, error: str) -> list[str]:
        mistakes = []
        if hashes(place / "factors") != self.new:
            mistakes.append("the factors are not those of an undisturbed fit")
        if (place / self.states[0]).exists():
            mistakes.append("the state is still there after the fit")
        if before and "1 of 3" in error:
            mistakes.append("the state was there, and the fit began from the start")
        return mistakes + leftovers(place)


class Index(Command):
    """An index that grows: what is counted in its header is there, and is not computed again."""

    name = "index"

    def prepare(self) -> None:
        place = self.setting.place(self.template)
        self.setting.call("import", *place, str(self.setting.corpus("index.jsonl", 3000)))
        self.setting.call("fit", *place, "--workers", "2", "--max-sequences", "20")

    def arguments(self, place: pathlib.Path) -> list[str]:
        return ["index", *self.setting.place(place), "--workers", "2", "--signs", "64"]

    def learn(self, place: pathlib.Path) -> None:
        self.whole = (place / "gradients.index").read_bytes()
        self.space = 5 * len(self.whole) // 4

    def look(self, place: pathlib.Path, calls) -> list[str]:
        file = place / "gradients.index"
        if not file.exists():
            return []
        data = file.read_bytes()
        count, record = struct.unpack("<Q", data[72:80])[0], struct.unpack("<I", data[20:24])[0]
        end = 128 + count * record
        if len(data) < end or data[128:end] != self.whole[128:end]:
            return [f"{count} sequences are counted, and their records are not there"]
        return []

    def remember(self, place: pathlib.Path) -> int:
        file = place / "gradients.index"
        return struct.unpack("<Q", file.read_bytes()[72:80])[0] if file.exists() else 0

    def compare(self, place: pathlib.Path, before: int, error: str) -> list[str]:
        mistakes = []
        if (place / "gradients.index").read_bytes() != self.whole:
            mistakes.append("the index is not that of an undisturbed run")
        # A record's bytes are written once, and its count.
        again = [call for call in self.setting.points.calls() if call[0] == "write" and call[1].endswith("gradients.index")]
        rounds = -(-(3000 - before) // 512)
        if before and len(again) != 2 * rounds:
            mistakes.append(f"{before} sequences were indexed, and {len(again)} writes followed in place of {2 * rounds}")
        return mistakes + leftovers(place)


class Import(Command):
    """An import: what was committed is there, whole, and is not imported twice."""

    name = "import"

    def prepare(self) -> None:
        place = self.setting.place(self.template)
        self.setting.call("import", *place, str(self.setting.corpus("before.jsonl", 20)))
        self.file = self.setting.corpus("import.jsonl", 5000)

    def arguments(self, place: pathlib.Path) -> list[str]:
        return ["import", *self.setting.place(place), str(self.file)]

    # Closed by name: one that is closed later removes the log at its path, which may be another database's by then.
    @staticmethod
    def contents(place: pathlib.Path) -> tuple[list, str]:
        with contextlib.closing(sqlite3.connect(place / "corpus.sqlite")) as database:
            rows = database.execute("SELECT external_id, text FROM documents ORDER BY external_id").fetchall()
            return rows, database.execute("PRAGMA integrity_check").fetchone()[0]

    def learn(self, place: pathlib.Path) -> None:
        self.rows, _ = self.contents(place)
        self.space = 2 * sum(file.stat().st_size for file in place.iterdir() if file.is_file())

    def remember(self, place: pathlib.Path) -> int:
        # A copy: opening it would do for the program what it must do itself.
        copy = self.setting.folder / "looked-at"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(place, copy, ignore=shutil.ignore_patterns("filler"))
        rows, verdict = self.contents(copy)
        self.found = verdict, set(rows) <= set(self.rows) and len(rows) >= 20
        return len(rows)

    def compare(self, place: pathlib.Path, before: int, error: str) -> list[str]:
        mistakes = []
        verdict, is_part = self.found
        if verdict != "ok" or not is_part:
            mistakes.append(f"after the end of the first run: {verdict}, {'as it should be' if is_part else 'wrong documents'}")
        rows, verdict = self.contents(place)
        if verdict != "ok":
            mistakes.append(f"corpus.sqlite: {verdict}")
        if rows != self.rows:
            mistakes.append(f"{len(rows)} documents in place of {len(self.rows)}, or others")
        duplicates = re.search(r"(\d+) duplicates", self.output)
        if before > 20 and (not duplicates or int(duplicates.group(1)) != before - 20):
            mistakes.append(f"{before - 20} documents were there, and the import says: {self.output.strip()}")
        return mistakes + leftovers(place)

    def run(self, place: pathlib.Path, environment: dict | None = None) -> tuple[int, str, str]:
        status, output, error = super().run(place, environment)
        self.output = output.splitlines()[0] if output else ""
        return status, output, error


SETTINGS = """vocabulary: 300
sequence_length: 32
width: 32
layers: 1
heads: 2
key_value_heads: 1
feed_forward_width: 64
batch_sequences: 8
epochs: 12
"""


class Train(Command):
    """A training that goes on from its state, in the folder of an earlier model: the folder never has files of both."""

    name = "train"
    states = ("training-state.safetensors",)
    files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json"]

    def prepare(self) -> None:
        self.settings = self.setting.folder / "training.yaml"
        self.settings.write_text(SETTINGS)
        self.text = self.setting.corpus("earlier.jsonl", 30)
        self.setting.call(*self.arguments(self.template)[:-1])
        self.old = hashes(self.template, self.files)
        self.text = self.setting.corpus("train.jsonl", 200)
        # Interrupted, so that there is a state to go on from.
        process = subprocess.Popen(
            [self.setting.binary, *self.arguments(self.template)[:-1]], stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("tokenizer: done"):
                process.terminate()
                break
        process.communicate()
        if not (self.template / self.states[0]).exists():
            raise SystemExit("crashtest: a training that was interrupted has left no state")

    def arguments(self, place: pathlib.Path) -> list[str]:
        return ["train", "--corpus", str(self.text), "--output", str(place), "--config", str(self.settings), "--workers", "2",
                "--seed", "3", "--resume"]  # fmt: skip

    def learn(self, place: pathlib.Path) -> None:
        self.new = hashes(place, self.files)
        self.space = 3 * sum((place / name).stat().st_size for name in self.files) // 2

    def look(self, place: pathlib.Path, calls) -> list[str]:
        found = hashes(place, self.files)
        has_state = (place / self.states[0]).exists()
        if found == self.new:
            return []
        if not has_state:
            return ["the new model is not there, and the state is gone"]
        if found != self.old and "config.json" in found:
            return ["the folder has files of two models"]
        return []

    def remember(self, place: pathlib.Path) -> bool:
        return (place / self.states[0]).exists()

    def compare(self, place: pathlib.Path, before: bool, error: str) -> list[str]:
        mistakes = []
        if hashes(place, self.files) != self.new:
            mistakes.append("the model is not that of an undisturbed run")
        if before and "continuing after step" not in error:
            mistakes.append("the state was there, and the training began from the start")
        if any((place / name).exists() for name in (*self.states, "training-tokenizer")):
            mistakes.append("the state is still there after the training")
        return mistakes + leftovers(place)


COMMANDS = [Fit, Index, Import, Train]
