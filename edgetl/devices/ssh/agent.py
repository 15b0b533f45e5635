"""What runs on the device: keeps files by their content, and cleans up after a run, also after one that was cut off.

Sent as text and never installed, so: the standard library alone, and nothing of edgetl. It lives as long as the run. When its
input ends, or nothing came for `SILENCE_S`, the host is gone: every process of the run is killed and its folder removed.

Each request is a line with a JSON object, answered by one with {"ok": true, ...} or {"failed": why, "detail": text}:

    hello     token                  what the device is, and the run's folder; comes first
    missing   digests                those of them that the cache has not, or not with the bytes that they name
    put       digest, size, keep     followed by `size` bytes, in pieces that are announced by {"bytes": n}
    view      name, files            a folder of the run with files by their path, each a link to the file of its digest
    packages  names                  versions and wheel tags of installed distributions
    venv      requirements           a virtual environment that has them; its python
    stop      worker                 kill a worker and what it started
    end                              leave nothing but the cache

An empty line says that the host is still there. Older Pythons than edgetl asks for can read it too, so
that the host can say how old.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import queue
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

SILENCE_S = 60.0
VARIABLE = "EDGETL_RUN"
"""In the environment of all that a run starts: TOKEN/WORKER."""


class Refused(Exception):
    """A request that cannot be done. why: a word for programs."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why = why


class Requests:
    """The host's requests, read by a thread of their own: that the host is gone is noticed while one is worked on."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone
        self._queue: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue(maxsize=16)  # of pieces: some 4 MB
        self._reading_since: float | None = None
        for work in (self._read, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def next(self) -> tuple[dict[str, Any], bytes]:
        """The next request, and the bytes of a piece."""
        return self._queue.get()

    @contextlib.contextmanager
    def pieces(self, size: int) -> Iterator[Iterator[bytes]]:
        """The bytes that follow a request; all are read, also when the block fails, so that the next request is found."""
        left = size

        def each() -> Iterator[bytes]:
            nonlocal left
            while left > 0:
                _, piece = self.next()
                left -= len(piece)
                yield piece

        try:
            yield each()
        finally:
            for _ in each():
                pass

    def _read(self) -> None:
        source = sys.stdin.buffer
        while True:
            self._reading_since = time.monotonic()
            line = source.readline()
            if not line:
                break
            if not line.strip():
                continue
            request, piece = json.loads(line), b""
            if "bytes" in request:
                piece = source.read(request["bytes"])
                if len(piece) < request["bytes"]:
                    break
            self._reading_since = None  # a slow disk is no silence of the host
            self._queue.put((request, piece))
        self._gone()

    def _watch(self) -> None:
        while True:
            time.sleep(SILENCE_S / 12)
            since = self._reading_since
            if since is not None and time.monotonic() - since > SILENCE_S:
                self._gone()
                return


class Agent:
    """One run on this device. Folders of the cache: objects/ by digest, venvs/, runs/ with one for each run."""

    def __init__(self) -> None:
        self.cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetl"
        self._token, self._run = "", Path()
        self._lock: IO[str] | None = None
        self._leaving = threading.Lock()

    def serve(self) -> None:
        """Answer requests until `end`."""
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.leave())
        requests = Requests(self.leave)
        while True:
            request, _ = requests.next()
            word = request.pop("do")
            if word == "end":
                if self._leaving.acquire(blocking=False):
                    self.clean()
                    answer({"ok": True})
                    os._exit(0)
                threading.Event().wait()  # the input ended behind it: the reader's thread cleans up, and ends the process
            try:
                extra = (requests,) if word == "put" else ()
                answer({"ok": True, **getattr(self, f"do_{word}")(*extra, **request)})
            except Refused as exc:
                answer({"failed": exc.why, "detail": str(exc)})
            except OSError as exc:
                full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
                answer({"failed": "full" if full else "system", "detail": self._described(exc)})

    def do_hello(self, token: str) -> dict[str, Any]:
        """Make the run's folder; remove those of runs whose agent did not come to it."""
        runs = self.cache / "runs"
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.cache / "runs.lock"):
            for other in runs.iterdir():
                remove_unless_locked(other)
            self._token, self._run = token, runs / token
            self._run.mkdir(0o700)
            self._lock = (self._run / "lock").open("w")  # held until this process ends
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return {
            "python": list(sys.version_info[:3]),
            "system": platform.system(),
            "machine": machine(),
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
            "started_in": str(Path.cwd()),
            "run": str(self._run),
        }

    def do_missing(self, digests: list[str]) -> dict[str, Any]:
        """By their content, which a size does not tell; what is damaged is removed."""
        missing = []
        for digest in digests:
            path = self._object(digest)
            if not path.is_file():
                missing.append(digest)
            elif sha256(path) != digest:
                path.unlink()
                missing.append(digest)
        return {"missing": missing}

    def do_put(self, requests: Requests, digest: str, size: int, keep: bool) -> dict[str, Any]:
        """Written into the run's folder, and named only when it is whole. keep: in the cache, else for this run alone."""
        path, part = self._object(digest) if keep else self._own(digest), self._run / "part"
        try:
            seen = hashlib.sha256()
            with requests.pieces(size) as pieces, part.open("wb", buffering=0) as file:
                for piece in pieces:
                    write_all(file, piece)
                    seen.update(piece)
                os.fsync(file.fileno())
            if seen.hexdigest() != digest:
                raise Refused("changed", "arrived with other bytes than were sent")
            part.chmod(0o400)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
        return {}

    def do_view(self, name: str, files: dict[str, str]) -> dict[str, Any]:
        """Links where the file system has them, else copies."""
        folder = self._run / name
        folder.mkdir(0o700)
        for path, digest in files.items():
            steps = path.split("/")
            if any(step in ("", ".", "..") or "\0" in step for step in steps):
                raise Refused("path", f"got the path {path!r}, expected one inside the folder")
            place = folder.joinpath(*steps)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = self._own(digest)
            source = own if own.is_file() else self._object(digest)
            try:
                os.link(source, place)
            except OSError as exc:
                if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                shutil.copyfile(source, place)
        return {"folder": str(folder)}

    def do_packages(self, names: list[str]) -> dict[str, Any]:
        """Without importing them."""
        from importlib import metadata

        found: dict[str, Any] = {}
        for name in names:
            try:
                distribution = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                found[name] = None
                continue
            lines = (distribution.read_text("WHEEL") or "").splitlines()
            tags = [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]
            found[name] = {"version": distribution.version, "tags": tags}
        return {"packages": found}

    def do_venv(self, requirements: list[str]) -> dict[str, Any]:
        """Made once for each Python; what was installed once is not asked for again."""
        key = hashlib.sha256(f"{sys.executable} {sys.version}".encode()).hexdigest()[:12]
        venvs = self.cache / "venvs"
        venvs.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = venvs / key
        python, noted = folder / "bin" / "python", folder / "edgetl.json"
        with locked(venvs / f"{key}.lock"):
            if not noted.is_file():  # there is none, or one that was cut off while it was made
                shutil.rmtree(folder, ignore_errors=True)
                self._program("venv", [sys.executable, "-m", "venv", str(folder)])
                note(noted, [])
            installed = json.loads(noted.read_text(encoding="utf-8"))
            wanted = [each for each in requirements if each not in installed]
            if wanted:
                pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
                self._program("pip", [*pip, *wanted])
                note(noted, installed + wanted)
        return {"python": str(python)}

    def do_stop(self, worker: str) -> dict[str, Any]:
        """For what does not end with its input, such as a model in the middle of its work."""
        kill_all(f"{self._token}/{worker}")
        return {}

    def clean(self) -> None:
        """Processes of the run are killed and its folder removed; the cache stays."""
        if self._token:
            shutil.rmtree(self._run, ignore_errors=True)  # first, so that what is just being started finds nothing
            kill_all(f"{self._token}/")
            shutil.rmtree(self._run, ignore_errors=True)

    def leave(self) -> None:
        """The host is gone."""
        if self._leaving.acquire(blocking=False):
            self.clean()
            os._exit(1)

    def _object(self, digest: str) -> Path:
        return self.cache / "objects" / checked(digest)

    def _own(self, digest: str) -> Path:
        return self._run / "own" / checked(digest)

    def _program(self, why: str, argv: list[str]) -> None:
        """Run to the end; its output is what the host shows when it fails."""
        own = {**os.environ, VARIABLE: f"{self._token}/{why}"}
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=own)
        if done.returncode:
            raise Refused(why, done.stdout.decode("utf-8", "replace")[-4000:])

    def _described(self, exc: OSError) -> str:
        free = ""
        with contextlib.suppress(OSError):
            free = f"; {shutil.disk_usage(self.cache).free / 1e6:.1f} MB are free"
        return f"{exc.filename or self.cache}: {exc.strerror}{free}"


def answer(content: dict[str, Any]) -> None:
    """One line for the host."""
    with contextlib.suppress(OSError):  # nobody reads any more: the end of the input follows
        sys.stdout.write(json.dumps(content) + "\n")
        sys.stdout.flush()


def checked(digest: str) -> str:
    """A sha256 and nothing else: it becomes the name of a file."""
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise Refused("path", f"got the digest {digest!r}")
    return digest


def write_all(file: Any, piece: bytes) -> None:
    """Before a write to a full disk fails, one writes less than it was given."""
    rest = memoryview(piece)
    while len(rest):
        rest = rest[file.write(rest) :]


def sha256(path: Path) -> str:
    """Of a file, read in pieces."""
    seen = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            seen.update(piece)
    return seen.hexdigest()


def note(path: Path, content: list[str]) -> None:
    """Write JSON aside, then rename."""
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Held by one agent at a time; the system lets go when it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_unless_locked(folder: Path) -> None:
    """The folder of a run whose agent was killed, or the device switched off."""
    with contextlib.suppress(FileNotFoundError), (folder / "lock").open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    kill_all(f"{folder.name}/")
    shutil.rmtree(folder, ignore_errors=True)


def kill_all(marked: str) -> None:
    """Kill every process whose environment says that it is of this run or worker, until two looks in a row find none."""
    mark, quiet, until = f"{VARIABLE}={marked}".encode(), 0, time.monotonic() + 10.0
    while quiet < 2 and time.monotonic() < until:
        found = [number for number in processes() if is_marked(number, mark)]
        for number in found:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        quiet = 0 if found else quiet + 1
        time.sleep(0.05)


def processes() -> list[int]:
    """Those of this machine but for our own."""
    with contextlib.suppress(OSError):
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return []


def is_marked(number: int, mark: bytes) -> bool:
    """Whether a process has this variable, or, for a mark that ends in a slash, one that starts so."""
    try:
        values = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(value == mark or (mark.endswith(b"/") and value.startswith(mark)) for value in values)


def machine() -> str:
    """As wheels call it: a 32-bit Python on a 64-bit kernel takes wheels for 32 bits."""
    name = platform.machine()
    return {"aarch64": "armv7l", "x86_64": "i686"}.get(name, name) if struct.calcsize("P") == 4 else name


def processor() -> str:
    """The board's name where there is one, else the processor's."""
    # As edgetl.runtime.surroundings, which comes later: hello is asked before anything is sent, and of older Pythons too.
    with contextlib.suppress(OSError):
        return Path("/proc/device-tree/model").read_bytes().rstrip(b"\0").decode("utf-8", "replace")
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    Agent().serve()
