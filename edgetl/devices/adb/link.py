"""One Android device through the adb server: which one, commands on it, files to it and from it.

What adbutils raises is translated here, once, and what is sent as a command is always quoted.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from edgetl.errors import DeviceError, EdgetlError, MissingRuntime
from edgetl.errors.wording import quoted

if TYPE_CHECKING:
    from adbutils import AdbClient, AdbConnection

__all__ = ["LONGEST", "Link", "serial_of"]

_SHELL = "shell,v2,raw:"
LONGEST = 0xFFFF - len(_SHELL)
"""The most bytes that a script may have: the length of a request is sent with four hexadecimal digits."""
_ANSWER_LIMIT = 16 * 2**20
_BLOCK = 64 * 1024  # the most that adbd takes in one DATA (SYNC_DATA_MAX of its file_sync_protocol.h)
_SHORT_S = 30.0
_CONNECT_S = 3.0
_STATES = {
    "unauthorized": ("has not allowed this computer", "unlock it and accept 'Allow USB debugging?'"),
    "offline": ("does not answer", "unplug it and plug it in again; then: adb kill-server"),
    "no": ("may not be opened by this user", "Linux: install the udev rules of android-sdk-platform-tools-common"),
    "recovery": ("is in recovery", "restart it"),
    "sideload": ("is in sideload", "restart it"),
    "bootloader": ("is in its bootloader", "restart it"),
    "authorizing": ("is still being asked whether it allows this computer", "unlock it and try again"),
}


class Link:
    """A device that answers. Raises DeviceError, in all methods, once it does not."""

    def __init__(self, serial: str | None) -> None:
        """Find it: the one of this serial, or of ANDROID_SERIAL, or the only one.

        Raises:
            MissingRuntime: adbutils is not installed.
            DeviceError: no such device, more than one, or one that cannot be used; the hint says what to do.
        """
        try:
            from adbutils import AdbClient
        except ImportError as exc:
            raise MissingRuntime("Android devices need adbutils", hint="pip install 'edgetl[adb]'") from exc
        with _translated("adb"):
            self._client = AdbClient()
            _start_server(self._client)
            self.serial = _chosen(self._client, _named(serial))
            if "shell_v2" not in self._features():
                raise DeviceError("the device is older than Android 7", hint="its adbd has no shell_v2")

    def run(self, words: Sequence[str], seconds: float = _SHORT_S) -> tuple[int, str]:
        """A command of these words, each quoted: exit code and what it printed, stderr among it."""
        return self.script(" ".join(map(shlex.quote, words)), seconds)

    def script(self, text: str, seconds: float = _SHORT_S) -> tuple[int, str]:
        """As `run`, for the text of a shell script. Its input stays open until it ends, or until this end is lost."""
        with self._service(f"{_SHELL}{text}", seconds) as connection:
            return _answered(connection, time.monotonic() + seconds)

    def must(self, words: Sequence[str]) -> str:
        """As `run`, for what has to succeed: what it printed."""
        code, said = self.run(words)
        if code:
            raise DeviceError(
                f"{words[0]} failed on the device: {_last(said) or f'exit code {code}'}", hint=_hint(said)
            )
        return said

    def push(self, content: bytes, path: str, executable: bool = False) -> None:
        """Write a file there: adb's sync SEND, whose refusal adbutils would not read."""
        mode = stat.S_IFREG | (0o755 if executable else 0o644)
        target = f"{path},{mode}".encode()
        with self._service("sync:", _SHORT_S) as connection:
            refused = False
            try:
                connection.conn.sendall(b"SEND" + struct.pack("<I", len(target)) + target)
                for start in range(0, len(content), _BLOCK):
                    block = content[start : start + _BLOCK]
                    connection.conn.sendall(b"DATA" + struct.pack("<I", len(block)) + block)
                connection.conn.sendall(b"DONE" + struct.pack("<I", int(time.time())))
            except (BrokenPipeError, ConnectionResetError):
                refused = True  # it closed while we wrote: what it says about it may still be there to read
            status, length = struct.unpack("<4sI", connection.read_exact(8))
            if status != b"OKAY" or refused:
                said = connection.read_exact(min(length, 4096)).decode(errors="replace") if status == b"FAIL" else ""
                raise DeviceError(f"the device did not take a file: {said or 'no reason given'}", hint=_hint(said))

    def pull(self, path: str, limit: int) -> bytes:
        """A file's bytes, if it has no more than `limit`."""
        with self._service("sync:", _SHORT_S) as connection:
            name = path.encode()
            connection.conn.sendall(b"RECV" + struct.pack("<I", len(name)) + name)
            content = b""
            while True:
                status, length = struct.unpack("<4sI", connection.read_exact(8))
                if status == b"DONE":
                    return content
                if status != b"DATA" or len(content) + length > limit:
                    said = (
                        connection.read_exact(min(length, 4096)).decode(errors="replace") if status == b"FAIL" else ""
                    )
                    raise DeviceError(f"a file of the device cannot be read: {said or f'it has over {limit} bytes'}")
                content += connection.read_exact(length)

    def _features(self) -> list[str]:
        with closing(self._client.make_connection(timeout=_SHORT_S)) as connection:
            _request(connection, f"host-serial:{self.serial}:features")
            features: str = connection.read_string_block()
            return features.split(",")

    @contextmanager
    def _service(self, service: str, seconds: float) -> Iterator[AdbConnection]:
        """A service of the device. adbutils' `open_transport` forgets its socket where the device is gone."""
        hidden = _translated("the device", self.serial)
        with hidden, closing(self._client.make_connection(timeout=seconds)) as connection:
            _request(connection, f"host:tport:serial:{self.serial}")
            connection.read_exact(8)  # the transport's number
            _request(connection, service)
            yield connection


def serial_of(serial: str | None) -> str | None:
    """Of the device that a target means, which is looked for where no name says it; None where there is none, or several."""
    if named := _named(serial):
        return named
    try:
        return Link(None).serial
    except EdgetlError:  # whoever measures on it says what is wrong
        return None


def _named(serial: str | None) -> str | None:
    return serial or os.environ.get("ANDROID_SERIAL") or None


def _start_server(client: AdbClient) -> None:
    """adbutils would start one too, but lets it print on our stdout."""
    from adbutils import adb_path

    address = (client.host, client.port)
    with contextlib.suppress(OSError), socket.create_connection(address, _CONNECT_S):
        return
    silent = subprocess.DEVNULL
    done = subprocess.run(
        [adb_path(), "start-server"], stdin=silent, stdout=silent, stderr=silent, timeout=20, check=False
    )
    with contextlib.suppress(OSError), socket.create_connection(address, _CONNECT_S):
        return
    raise DeviceError(f"the adb server does not start (exit code {done.returncode})", hint="adb start-server says why")


def _chosen(client: AdbClient, serial: str | None) -> str:
    """The serial of a device that answers."""
    there = {each.serial: each.state for each in client.list()}
    if serial is None:
        if not there:
            raise DeviceError(
                "no Android device is attached",
                hint="plug one in by USB with USB debugging on (docs/devices.md); adb devices shows those that are there",
            )
        if len(there) > 1:
            names = ", ".join(map(quoted, sorted(there)))
            raise DeviceError(
                f"{len(there)} Android devices are attached: {names}",
                hint="export ANDROID_SERIAL=... names one of them",
            )
        (serial,) = there
    if serial not in there:
        others = ", ".join(map(quoted, sorted(there))) or "none"
        raise DeviceError(f"no Android device has the serial {quoted(serial)}", hint=f"attached: {others}")
    state = there[serial]
    if state != "device":
        what, hint = _STATES.get(state, (f"is in the state {quoted(state)}", "restart it"))
        raise DeviceError(f"the Android device {what}", hint=hint)
    return serial


def _request(connection: AdbConnection, service: str) -> None:
    """Ask for a service; adbutils would send a part of it, where the system takes only a part."""
    words = service.encode()
    if len(words) > 0xFFFF:
        raise DeviceError("a command is longer than adb takes")
    connection.conn.sendall(b"%04x" % len(words) + words)
    connection.check_okay()


def _answered(connection: AdbConnection, deadline: float) -> tuple[int, str]:
    """The packets of shell protocol v2 (packages/modules/adb/shell_protocol.h): id, length, data."""
    said = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.conn.settimeout(left)
        kind, length = struct.unpack("<BI", connection.read_exact(5))
        data = connection.read_exact(length) if length <= _ANSWER_LIMIT else b""
        if kind == 3 and data:
            return data[0], said.decode(errors="replace")
        if kind in (1, 2):
            said += data
        if len(said) > _ANSWER_LIMIT or length > _ANSWER_LIMIT:
            raise DeviceError(f"the device printed more than {_ANSWER_LIMIT} bytes")


@contextmanager
def _translated(what: str, serial: str = "") -> Iterator[None]:
    """Turn what adbutils and the socket raise into one line with its fix; what is said of a measurement names no serial."""
    from adbutils.errors import AdbConnectionError, AdbError, AdbTimeout

    lost = "plug it in again and repeat the command: what was measured until now is no result"
    try:
        yield
    except AdbConnectionError as exc:
        raise DeviceError("the adb server does not run", hint="adb start-server") from exc
    except (AdbTimeout, TimeoutError, subprocess.TimeoutExpired) as exc:
        raise DeviceError(f"{what} did not answer in time", hint=lost) from exc
    except (AdbError, EOFError, ConnectionError, struct.error) as exc:
        said = _last(str(exc)) if isinstance(exc, AdbError) else ""
        said = said.replace(serial, "...") if serial else said
        if "adb exe" in said:
            hint = "install Android's platform-tools, or pip install adbutils again: its wheel has adb"
            raise DeviceError("there is no adb to start", hint=hint) from exc
        raise DeviceError(f"{what} was unplugged or restarted" + (f" ({said})" if said else ""), hint=lost) from exc
    except OSError as exc:
        raise DeviceError(f"adb: {exc.strerror or exc}", hint="adb kill-server, then repeat the command") from exc


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def _hint(said: str) -> str | None:
    words = said.lower()
    if "no space left" in words:
        return "its storage is full: free some, or rm -rf /data/local/tmp/edgetl on it"
    if "read-only" in words or "permission denied" in words:
        return "name another folder in the target file: one that the shell user may write and run programs in"
    return None


def suppressed() -> Any:
    """For the way out, when the device may be gone."""
    return contextlib.suppress(DeviceError)
