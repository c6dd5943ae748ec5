"""A Tributary server of the tests' own, which they may kill and start again."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Server:
    """`tributary serve` on a free port of this machine."""

    def __init__(self, program, workspace, log, environment=None):
        self.program, self.workspace, self.log = program, workspace, log
        self.environment = {**os.environ, **(environment or {})}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--workspace", self.workspace, "--port", str(self.port)],
                stdout=log, stderr=log, env=self.environment)
        while True:
            try:
                with urllib.request.urlopen(self.url + "/readyz"):
                    return self
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    raise RuntimeError(f"the server has ended; {self.log} says why") from None
                time.sleep(0.2)

    def kill(self):
        """Ends the process as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def call(self, path, body=None, method=None, kind="application/json"):
        """What a call answers, as JSON."""
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": kind}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def ask(self, prompt, completion, **members):
        """Asks a question and waits for its end. Returns the job's id."""
        query = {"prompt": prompt, "completion": completion, "attribution": {"tokens": True, "layers": True}, **members}
        return self.finished(self.call("/v1/influence", query)["id"])

    def finished(self, job):
        while self.call(f"/v1/jobs/{job}")["status"] in ("queued", "running"):
            time.sleep(0.1)
        return job
