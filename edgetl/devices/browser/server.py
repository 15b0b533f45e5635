"""The HTTP side of the browser's protocol (docs/browser-protocol.md): it serves what was listed."""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from edgetl.devices.browser import answers
from edgetl.devices.browser.session import Session

__all__ = ["Server"]

_POLL_S = 20.0
_HELLO_LIMIT = 4096
_ANSWER_LIMIT = 2**20
_AT_ONCE = 32
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    # The page is a world of its own: its clock then has steps of 5 us, not 100, and threads may share memory.
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}


class Server(ThreadingHTTPServer):
    """Listens on one address until it is closed.

    pages: what is served beside the session's files, by name; index.html is the page itself.
    """

    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 2 * _AT_ONCE

    def __init__(self, address: str, port: int, session: Session, pages: Mapping[str, bytes]) -> None:
        """Raises OSError: the address is not this computer's, or the port is taken."""
        super().__init__((address, port), _Handler)
        self.session, self.pages = session, pages
        self.port: int = self.server_address[1]
        names = {address, "localhost"} if address in ("127.0.0.1", "::1") else {address}
        self.hosts = {f"{name}:{self.port}" for name in names}
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say good-bye to the page and stop listening."""
        self.session.end()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """As many at once as a page needs, and not more."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As inherited."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left in the middle is no news."""


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edgetl", ""
    timeout = 10.0
    server: Server

    def do_GET(self) -> None:
        """A listed file of the page, or one that a command named."""
        self.close_connection = (
            self.close_connection or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        )
        self._answered(self._file)

    def do_POST(self) -> None:
        """hello, next or an answer."""
        self._answered(self._said)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing: addresses hold the token."""

    def _answered(self, work: Any) -> None:
        try:
            self._own_origin()
            status, content, kind = work()
        except _Refused as exc:
            self.close_connection = True  # its body may not have been read
            status, content, kind = exc.status, json.dumps({"error": exc.why}).encode(), "application/json"
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def _own_origin(self) -> None:
        """Only the page that came from here: another site's script, or a name that was rebound to this address, is refused."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0] not in self.server.hosts:
            raise _Refused(421, "this is not the host that was asked for")
        origins = self.headers.get_all("Origin") or []
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            raise _Refused(403, "another origin")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise _Refused(403, "another site")

    def _file(self) -> tuple[int, bytes, str]:
        place, _, name = unquote(self.path.removeprefix("/")).partition("/")
        if place == "files" and self._known():
            if name in self.server.session.files:
                return 200, self.server.session.files[name], "application/octet-stream"
        elif self.server.session.opens(place):
            name = name or "index.html"
            if name in self.server.pages:
                return 200, self.server.pages[name], _kind(name)
            if name == "index.html":
                raise _Refused(404, "edgetl ships no page yet: docs/browser-protocol.md says what one must do")
        raise _Refused(404, "no such file")

    def _said(self) -> tuple[int, bytes, str]:
        place, _, name = self.path.removeprefix("/").partition("/")
        session = self.server.session
        if name == "hello" and session.opens(place):
            try:
                key = session.claim(answers.hello(self._body(_HELLO_LIMIT)))
            except ValueError as exc:
                raise _Refused(400, str(exc)) from exc
            if key is None:
                raise _Refused(410, "this address was used: start edgetl bench again")
            return 200, json.dumps({"key": key}).encode(), "application/json"
        if place == "next" and not name and self._known():
            self._body(_HELLO_LIMIT)
            command = session.next(_POLL_S)
            return (204, b"", "") if command is None else (200, json.dumps(command).encode(), "application/json")
        if place == "answers" and self._known():
            status = session.answer(name, self._body(_ANSWER_LIMIT))
            if status != 204:
                raise _Refused(
                    status, {400: "not what was expected", 409: "answered already"}.get(status, "no such command")
                )
            return 204, b"", ""
        raise _Refused(404, "no such thing")

    def _known(self) -> bool:
        if not self.server.session.knows(self.headers.get("X-Edgetl-Key", "")):
            raise _Refused(403, "not the key of this page")
        return True

    def _body(self, limit: int) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise _Refused(415, "expected application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 12) or "Transfer-Encoding" in self.headers:
            raise _Refused(411, "expected a Content-Length")
        if int(length) > limit:
            raise _Refused(413, f"over {limit} bytes")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise _Refused(400, "shorter than it says")
        try:
            return answers.document(body)
        except ValueError as exc:
            raise _Refused(400, f"not JSON: {exc}"[:200]) from exc


def _kind(name: str) -> str:
    suffix = name[name.rfind(".") :] if "." in name else ""
    return _TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"
