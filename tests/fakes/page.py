"""A page without a browser: it speaks docs/browser-protocol.md over urllib, and really runs the .tflite files it fetches."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from edgetl.errors import EdgetlError
from edgetl.runtime.serving import time_runs
from edgetl.runtime.sessions.tflite import TfliteSession, open_session

HELLO = {
    "protocol": 1,
    "agent": "Scripted 1.0",
    "cores": 2,
    "memory_gb": 8,
    "system": "Test",
    "machine": "unknown",
    "formats": ["tflite"],
}


class Page:
    """A client of one address.

    wrong: command -> what to answer instead of the truth. done: the commands that were done.
    """

    def __init__(self, url: str, scratch: Path, hello: dict[str, Any] | None = None) -> None:
        self.url, self.base = url, url[: url.index("/", 8)]
        self.wrong: dict[str, dict[str, Any]] = {}
        self.done: list[dict[str, Any]] = []
        self.key, self.dismissed = "", False
        self._hello = hello or HELLO
        self._scratch = scratch
        self._held: dict[str, TfliteSession] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Page:
        """In a thread of its own, until it is told that it is over."""
        self._thread.start()
        return self

    def join(self) -> None:
        """Once it is over."""
        self._thread.join(20)
        assert not self._thread.is_alive()

    def send(self, url: str, content: Any, **headers: str) -> tuple[int, Any]:
        """A POST of JSON: status and what was answered."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "X-Edgetl-Key": self.key, **headers}
        return self.request(urllib.request.Request(url, body, headers, method="POST"))

    def request(self, request: urllib.request.Request) -> tuple[int, Any]:
        """Status and body, parsed where it is JSON; refusals are answers too."""
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, body, kind = response.status, response.read(), response.headers.get("Content-Type")
        except urllib.error.HTTPError as exc:
            status, body, kind = exc.code, exc.read(), exc.headers.get("Content-Type")
        return status, json.loads(body) if kind == "application/json" else body

    def claim(self) -> None:
        """Say hello, and keep the key."""
        status, answer = self.send(f"{self.url}hello", self._hello)
        assert status == 200, answer
        self.key = answer["key"]

    def fetch(self, name: str) -> bytes:
        """A file that a command named."""
        request = urllib.request.Request(f"{self.base}/files/{name}", headers={"X-Edgetl-Key": self.key})
        status, body = self.request(request)
        assert status == 200, body
        assert isinstance(body, bytes)
        return body

    def next(self) -> dict[str, Any]:
        """The next command."""
        while True:
            status, command = self.send(f"{self.base}/next", {})
            if status != 204:
                assert status == 200, command
                assert isinstance(command, dict)
                return command

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            self.claim()
            while (command := self.next())["do"] != "bye":
                answer = self.wrong.get(command["do"]) or self._answer(command)
                self.done.append(command)
                self.send(f"{self.base}/answers/{command['id']}", answer)
            self.dismissed = True

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """A page goes on after what it cannot do: who asks waits for an answer for minutes."""
        try:
            return self._do(command)
        except EdgetlError as exc:
            return {"failed": exc.message}

    def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        name = command["artifact"]
        if command["do"] == "load":
            path = self._scratch / f"{command['file']}.tflite"  # not one for all: the interpreter maps it
            path.write_bytes(self.fetch(command["file"]))
            session = self._held[name] = open_session(path, command["threads"], {})
            self._image = np.zeros(session.input_shape, np.uint8)
            described = session.describe()
            words = ("runtime", "version", "compute_precision", "accelerator", "placement")
            (first,) = time_runs(lambda: session.run(self._image), 1)
            return {"load_ms": 1.0, "first_ms": first, "timer_ms": 0.005, **{word: described[word] for word in words}}
        if command["do"] == "run":
            return {"times_ms": time_runs(lambda: self._held[name].run(self._image), command["count"])}
        if command["do"] == "outputs":
            tensors = np.frombuffer(self.fetch(command["file"]), np.uint8).reshape(command["shape"])
            return {"rows": [self._held[name].run(tensor[None])[0].tolist() for tensor in tensors]}
        assert command["do"] == "quit"
        self._held.pop(name, None)  # asked after a load that failed, too
        return {"peak_mb": None}
