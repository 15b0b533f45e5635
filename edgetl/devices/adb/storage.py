"""What lies on the device: files by their content, kept from one run to the next, and a folder for this run, which goes."""

from __future__ import annotations

import hashlib
import re
import secrets

from edgetl.devices.adb.link import Link, suppressed
from edgetl.errors import DeviceError

__all__ = ["Storage"]

_ABANDONED_MINUTES = 24 * 60
_SHA256 = re.compile(r"\\?([0-9a-f]{64})\b")  # GNU's puts a backslash before the hash of a file with one in its name


class Storage:
    """A folder on the device. No name of this computer is used there: a file is called by its hash.

    scratch: the folder of this run.
    """

    def __init__(self, link: Link, folder: str) -> None:
        """Make it; what runs that were cut off left a day ago is removed."""
        self._link = link
        self._kept = f"{folder}/files"
        self.scratch = f"{folder}/runs/{secrets.token_hex(8)}"
        self._vouched: set[str] = set()
        link.must(["mkdir", "-p", self._kept, self.scratch])
        old = [
            "find",
            f"{folder}/runs",
            self._kept,
            "-mindepth",
            "1",
            "-maxdepth",
            "1",
            "-mmin",
            f"+{_ABANDONED_MINUTES}",
        ]
        link.run([*old, "(", "-name", "*.part", "-o", "-type", "d", ")", "-exec", "rm", "-rf", "{}", "+"])

    def keep(self, content: bytes, executable: bool = False) -> str:
        """The path of a file with this content, sent only if it is not there.

        Raises:
            DeviceError: it cannot be sent, or did not arrive as it was sent.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = f"{self._kept}/{digest}"
        if digest in self._vouched:
            return path
        if self._digest(path, len(content)) != digest:
            part = f"{path}.{secrets.token_hex(4)}.part"
            try:
                self._link.push(content, part, executable)
                if self._digest(part, len(content)) != digest:
                    raise DeviceError(
                        "a file did not arrive on the device as it was sent", hint="use another cable or port"
                    )
                self._link.must(["mv", "-f", part, path])
            except BaseException:
                with suppressed():
                    self._link.run(["rm", "-f", part])
                raise
        if executable:
            self._link.must(["chmod", "755", path])
        self._vouched.add(digest)
        return path

    def put(self, content: bytes, name: str) -> str:
        """Write a file of this run."""
        path = f"{self.scratch}/{name}"
        self._link.push(content, path)
        return path

    def close(self) -> None:
        """Remove this run's folder; where the device is gone, the first run on another day does."""
        with suppressed():
            self._link.run(["rm", "-rf", self.scratch])

    def _digest(self, path: str, size: int) -> str | None:
        """Of a file there; None where there is none."""
        code, said = self._link.run(["sha256sum", path])
        if code == 0 and (found := _SHA256.match(said)):
            return found[1]
        if code in (126, 127):  # no such program before Android 8
            with suppressed():
                return hashlib.sha256(self._link.pull(path, size)).hexdigest()
        return None
