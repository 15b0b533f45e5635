"""What passes between a measurement and the page: one command at a time, one answer to each."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgetl.devices.browser.answers import Hello

__all__ = ["Failed", "Session", "Silent"]

_T = TypeVar("_T")
_LEAVE_S = 1.0
_AWAY_S = 30.0
"""A page that is there asks again within 20 s."""


class Silent(Exception):
    """The page did not answer in time."""


class Failed(Exception):
    """The page says that it could not, or answered something else than expected."""


class Session:
    """One page and what it is asked.

    token: opens the page, once. key: what that page says with everything afterwards. files: bytes by their sha256.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.files: dict[str, bytes] = {}
        self.hello: Hello | None = None
        self._key = ""
        self._changed = threading.Condition()
        self._command: dict[str, Any] | None = None
        self._check: Callable[[Mapping[str, Any]], Any] = dict
        self._answer: tuple[bool, Any] | None = None
        self._answered: set[str] = set()
        self._over = self._told = self._lost = False
        self._seen = 0.0

    # The page's side, from the server's threads.

    def claim(self, hello: Hello) -> str | None:
        """The key, for the first page; None for every other one."""
        with self._changed:
            if self._key:
                return None
            self._key, self.hello, self._seen = secrets.token_urlsafe(32), hello, time.monotonic()
            self._changed.notify_all()
            return self._key

    def opens(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def knows(self, key: str) -> bool:
        """Whether this is the key of the page that came first."""
        return bool(self._key) and hmac.compare_digest(key.encode(), self._key.encode())

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The command to be done, as soon as there is one; None where there is none for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or (self._command and self._answer is None), seconds)
            self._seen = time.monotonic()
            if self._over:
                self._told = True
                self._changed.notify_all()
                return {"do": "bye"}
            return self._command if self._answer is None else None

    def answer(self, name: str, content: Mapping[str, Any]) -> int:
        """Take the answer to a command; the HTTP status that says what became of it."""
        with self._changed:
            self._seen = time.monotonic()
            if name in self._answered:
                return 409
            if self._command is None or not hmac.compare_digest(name.encode(), self._command["id"].encode()):
                return 404
            self._answered.add(name)
            try:
                self._answer = self._judged(content)
                status = 204
            except ValueError as exc:
                self._answer, status = (False, f"the page answered something else than expected: {exc}"), 400
            self._changed.notify_all()
            return status

    def _judged(self, content: Mapping[str, Any]) -> tuple[bool, Any]:
        if set(content) == {"failed"} and isinstance(content["failed"], str):
            return False, "the page says: " + ("".join(filter(str.isprintable, content["failed"]))[:200] or "(nothing)")
        return True, self._check(content)

    # The measurement's side, from one thread.

    @property
    def gone(self) -> bool:
        """Whether a page came that does not answer, or does not ask what to do any more; to be asked between measurements."""
        with self._changed:
            return self._lost or (bool(self._key) and time.monotonic() - self._seen > _AWAY_S)

    def wait(self, seconds: float) -> Hello:
        """The page, once it has come. Raises Silent."""
        with self._changed:
            self._changed.wait_for(lambda: self.hello is not None, seconds)
            if self.hello is None:
                raise Silent
            return self.hello

    def ask(self, do: str, check: Callable[[Mapping[str, Any]], _T], seconds: float, **fields: Any) -> _T:
        """Have the page do something, and its checked answer.

        Raises:
            Silent: there was none for so long; from then on at once.
            Failed: it could not, or said something else.
        """
        with self._changed:
            if self._lost:
                raise Silent
            self._command = {"id": secrets.token_urlsafe(16), "do": do, **fields}
            self._check, self._answer = check, None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answer is not None, seconds)
            answer, self._command, self._answer = self._answer, None, None
            self._lost = answer is None
        if answer is None:
            raise Silent
        good, what = answer
        if not good:
            raise Failed(what)
        found: _T = what
        return found

    def offer(self, content: bytes) -> str:
        """Let the page fetch these bytes; under which name."""
        digest = hashlib.sha256(content).hexdigest()
        with self._changed:
            self.files[digest] = content
        return digest

    def end(self) -> None:
        """Tell the page that it is over, if it asks soon."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            if self._key and not self._lost:
                self._changed.wait_for(lambda: self._told, _LEAVE_S)
