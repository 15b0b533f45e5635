"""Any browser: a page that runs the artefacts, times them itself, and posts back what it found (docs/browser-protocol.md)."""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import Field, field_validator

from edgetl.config.target import Target
from edgetl.console.capture import aloud
from edgetl.devices import Presence
from edgetl.devices.browser import answers
from edgetl.devices.browser.server import Server
from edgetl.devices.browser.session import Failed, Session, Silent
from edgetl.devices.local import LocalTarget
from edgetl.devices.pushed import Pushed
from edgetl.devices.threads import ThreadCounts, resolved
from edgetl.devices.variables import replaced
from edgetl.errors import DeviceError, RecipeError
from edgetl.results.latency import Machine
from edgetl.runtime.arrays import array
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import WorkerError
from edgetl.runtime.manifest import Artifact

__all__ = ["Browser", "BrowserTarget", "Site", "presence"]

_FILES, _FILE_BYTES = 64, 64 * 2**20
_QUIT_S = 10.0
_T = TypeVar("_T")


class BrowserTarget(Target):
    """A browser, on this computer or on another one that reaches it."""

    address: str = "127.0.0.1"
    """Where edgetl listens: one address of this computer. Any but loopback is open to that network, without encryption."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 is one that is free."""
    page: str | None = None
    """Folder with the page: index.html and what it loads, no subfolders; `${NAME}` is replaced. edgetl ships none yet."""
    threads: ThreadCounts = (1,)
    """Thread counts that the page is asked to use; all is every core that the browser names."""
    wait_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """How long to wait for the page."""
    answer_s: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """How long for each of its answers."""

    def find_machine(self) -> str:
        """This one, where edgetl listens on it alone."""
        here = ipaddress.IPv4Address(self.address).is_loopback
        return LocalTarget(name=self.name).find_machine() if here else f"{self.kind} {self.name}"

    @field_validator("address")
    @classmethod
    def _one_address(cls, address: str) -> str:
        if ipaddress.IPv4Address(address).is_unspecified:
            raise ValueError("expected one address: requests are held against it")
        return address


def presence(target: BrowserTarget) -> Presence:
    """What it runs, as the page says once one came. Whether one comes shows when it is used."""
    without = {"openvino": "no browser runs OpenVINO's files"}
    site = _SITES.get(target.model_dump_json())
    hello = None if site is None or site.session.gone else site.session.hello
    if hello is not None:
        runs = f"the page runs {' and '.join(hello.formats)} files only"
        without |= {name: runs for name in BACKENDS if name not in (*hello.formats, *without)}
    return Presence(said="a page in a browser", known=False, without=without)


class Site:
    """A server with its page, which may be asked by several measurements of one command, one after the other."""

    def __init__(self, target: BrowserTarget) -> None:
        self.session = Session()
        place = f"target {target.name}"
        try:
            self.server = Server(target.address, target.port, self.session, _pages(target, place))
        except OSError as exc:
            where = f"{target.address}:{target.port}"
            raise DeviceError(
                f"cannot listen on {where}: {exc.strerror}", place=place, hint="name another port"
            ) from exc
        self._address = target.address
        self.tell()

    @property
    def url(self) -> str:
        """What a page is opened with, once."""
        return f"http://{self._address}:{self.server.port}/{self.session.token}/"

    def tell(self) -> None:
        """Say it on stderr, also where a build or the decoding of pictures captures that."""
        loopback = ipaddress.IPv4Address(self._address).is_loopback
        open_to = "" if loopback else f" (whoever reaches {self._address} can connect; the address works once)"
        aloud(f"open in the browser{open_to}: {self.url}")

    def renew(self) -> None:
        """Wait for another page, at another address of the same port."""
        self.session.end()
        self.session = self.server.session = Session()
        self.tell()

    def close(self) -> None:
        """The page is told that it is over."""
        self.server.close()


_SITES: dict[str, Site] = {}


def _site(target: BrowserTarget) -> Site:
    """The one of a target, with the page that came to it; where that is gone, another one is waited for."""
    key = target.model_dump_json()
    site = _SITES.get(key)
    if site is None:
        site = _SITES[key] = Site(target)
    elif site.session.gone:
        site.renew()
    elif site.session.hello is None:
        site.tell()
    return site


class Browser:
    """A page; the same one for all that a process measures on a target, as long as it is there: an address works once."""

    def __init__(self, target: BrowserTarget) -> None:
        self._target = target
        self._pushed = Pushed("")

    @cached_property
    def site(self) -> Site:
        """Listening, with or without a page. A page that falls silent is not waited for again by this device."""
        return _site(self._target)

    def info(self) -> Machine:
        """What the page says of its browser."""
        hello = self._hello()
        return Machine(hello.agent, hello.cores, hello.memory_gb, hello.system, hello.machine)

    def threads(self) -> tuple[int, ...]:
        """`all` is what the browser says."""
        return resolved(self._target.threads, self._hello().cores)

    def push(self, folder: Path, keep: bool = True) -> Path:
        """A name for it: the page fetches what it is told to, and keeps nothing."""
        return self._pushed.push(folder)

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> PageWorker:
        """An artefact, not fetched yet."""
        return PageWorker(f"{artifact.name}@{threads}", threads, self, artifact, self.host(folder / artifact.path))

    def close(self) -> None:
        """What was loaded was let go of; the page stays for what is measured next."""

    def ask(self, name: str, do: str, check: Callable[[Mapping[str, Any]], _T], **fields: Any) -> _T:
        """As `Session.ask`, failures being those of a worker of that name."""
        self._hello()
        seconds = min(self._target.answer_s, _QUIT_S) if do == "quit" else self._target.answer_s
        try:
            return self.site.session.ask(do, check, seconds, **fields)
        except Failed as exc:
            raise WorkerError(str(exc), place=name) from exc
        except Silent as exc:
            raise WorkerError(
                f"the page did not answer for {seconds:.0f} s",
                place=name,
                hint="keep it in the foreground and the screen on, and start again",
            ) from exc

    def host(self, path: str | Path) -> Path:
        """As `Pushed.host`."""
        return self._pushed.host(path)

    def _hello(self) -> answers.Hello:
        try:
            return self.site.session.wait(self._target.wait_s)
        except Silent as exc:
            raise DeviceError(
                f"no page came within {self._target.wait_s:.0f} s",
                place=f"target {self._target.name}",
                hint="open the printed address in a browser: docs/browser-protocol.md",
            ) from exc


@dataclass(frozen=True)
class PageWorker:
    """An artefact for the page."""

    name: str
    threads: int
    browser: Browser
    artifact: Artifact
    file: Path
    batch: int = 1

    @contextmanager
    def start(self) -> Iterator[OnPage]:
        """Nothing yet; the page lets go of it at the end."""
        running = OnPage(self)
        try:
            yield running
        finally:
            running.leave()


class OnPage:
    """One artefact that the page holds."""

    def __init__(self, worker: PageWorker) -> None:
        self._worker, self._browser, self._held = worker, worker.browser, False

    def ready(self) -> dict[str, Any]:
        """Have it fetched, loaded and run once."""
        artifact, session = self._worker.artifact, self._browser.site.session
        content = self._worker.file.read_bytes()
        about = {"format": artifact.backend, "precision": artifact.precision, "bytes": len(content)}
        self._held = True
        name = session.offer(content)
        try:
            found = self._ask("load", answers.loaded, file=name, threads=self._worker.threads, **about)
        finally:
            session.files.pop(name, None)
        said = asdict(found)
        clock = said.pop("timer_ms")
        return {
            "ready": True,
            "remote": True,
            **said,
            "placement": f"{found.placement}; the page's clock has steps of {clock:g} ms",
        }

    def run(self, count: int) -> list[float]:
        """Milliseconds of each, by the page's clock."""
        return self._ask("run", answers.times(count), count=count)

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        """What it computes of tensors of a .npy file in a pushed folder."""
        tensors = np.ascontiguousarray(array(self._browser.host(path), np.uint8)[start : start + count])
        session = self._browser.site.session
        name = session.offer(tensors.tobytes())
        try:
            return self._ask("outputs", answers.rows(len(tensors)), file=name, shape=list(tensors.shape))
        finally:
            session.files.pop(name, None)

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        """A page knows nothing else."""
        return {}

    def quit(self) -> float | None:
        """Let go of it; its memory, where the browser tells."""
        self._held = False
        return self._ask("quit", answers.peak)

    def leave(self) -> None:
        """What remains to be done however it ended."""
        if self._held:
            self._held = False
            with contextlib.suppress(WorkerError):  # it is gone, or has said why already
                self._ask("quit", answers.peak)

    def _ask(self, do: str, check: Callable[[Mapping[str, Any]], _T], **fields: Any) -> _T:
        return self._browser.ask(self._worker.name, do, check, artifact=self._worker.name, **fields)


def _pages(target: BrowserTarget, place: str) -> dict[str, bytes]:
    """The page's files by name, read once: what lies there later is not served."""
    if target.page is None:
        return {}
    folder = Path(replaced(target.page, "page", place))
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
        if len(files) > _FILES or sum(path.stat().st_size for path in files) > _FILE_BYTES:
            raise RecipeError(f"page: over {_FILES} files or {_FILE_BYTES} bytes", place=place)
        return {path.name: path.read_bytes() for path in files}
    except OSError as exc:
        raise RecipeError(f"page: {folder} cannot be read: {exc.strerror}", place=place) from exc


@atexit.register
def _over() -> None:
    for site in _SITES.values():
        site.close()
