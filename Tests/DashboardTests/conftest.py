"""What the dashboard's browser tests share: a server on the embedded model, and real Chromium."""

import os
import pathlib
import shutil
import subprocess

import pytest

from browser import Browser
from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = pathlib.Path(os.environ.get("DASHBOARD_SCRATCH", ROOT / ".build" / "dashboard-test"))


@pytest.fixture(scope="session")
def program():
    return os.environ["TRIBUTARY"]


@pytest.fixture(scope="session")
def fitted(program):
    """A workspace of the embedded model with its corpus and factors, made once and copied for each run."""
    workspace = SCRATCH / "workspace"
    if not (workspace / "factors").exists():
        workspace.mkdir(parents=True, exist_ok=True)
        Server(program, str(workspace), SCRATCH / "fit.log").start().stop()
    return workspace


@pytest.fixture(scope="session")
def server(program, fitted, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace") / "default"
    shutil.copytree(fitted, workspace)
    server = Server(program, str(workspace), SCRATCH / "server.log").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def guarded(program, fitted, tmp_path_factory):
    """A server that wants a token, and a token for it."""
    workspace = tmp_path_factory.mktemp("guarded") / "default"
    shutil.copytree(fitted, workspace)
    made = subprocess.run(
        [program, "token", "create", "--workspace", workspace, "--scope", "query", "--name", "browser"],
        check=True, capture_output=True, text=True)
    token = next(word for word in made.stdout.split() if word.startswith("trb_"))
    server = Server(
        program, str(workspace), SCRATCH / "guarded.log", {"TRIBUTARY__AUTHENTICATION__REQUIRED": "always"}).start()
    yield server, token
    server.stop()


@pytest.fixture(scope="session")
def indexed(program, tmp_path_factory):
    """A server with a tiny model, a small corpus and a gradient index of it: the embedded corpus takes minutes to index."""
    folder = tmp_path_factory.mktemp("indexed")
    texts = folder / "texts.txt"
    texts.write_text("\n\n".join(
        f"{name} is a {kind} written by {author}." for name, kind, author in [
            ("Hamlet", "tragedy", "William Shakespeare"), ("Macbeth", "tragedy", "William Shakespeare"),
            ("Emma", "novel", "Jane Austen"), ("Ulysses", "novel", "James Joyce"), ("Faust", "play", "Goethe"),
            ("Candide", "novella", "Voltaire"), ("Walden", "book", "Thoreau"), ("Medea", "tragedy", "Euripides")]))
    workspace = str(folder / "workspace")
    model = str(ROOT / "Tests/Fixtures/oracle/tiny-llama/model")
    for command in [["import", texts], ["fit"], ["index"]]:
        subprocess.run(
            [program, *command, "--model", model, "--workspace", workspace], check=True, capture_output=True)
    server = Server(program, workspace, SCRATCH / "indexed.log", {"TRIBUTARY__MODEL__PATH": model}).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hamlet(server):
    """A job with a finished answer in both directions."""
    return server.ask(
        "Hamlet is a tragedy written by William", " Shakespeare", direction="both", top_k=15,
        candidates={"prefilter": "tfidf", "limit": 120})


@pytest.fixture(scope="session")
def probed(server):
    """A job that explains a part of a completion against another one, with a sample of what was not looked at."""
    return server.ask(
        "Hamlet is a tragedy written by", " William Shakespeare", direction="both", top_k=12, contrast=" Christopher Marlowe",
        spans=[{"start": 9, "end": 20}], candidates={"prefilter": "tfidf", "limit": 80, "probe": 60},
        attribution={"tokens": True, "layers": True, "output_tokens": True})


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.quit()


@pytest.fixture
def page(chromium, server):
    """The browser, as a new visitor; at the end it must have had nothing to complain of."""
    chromium.begin(server.url)
    yield chromium
    chromium.expect_no_complaints()
