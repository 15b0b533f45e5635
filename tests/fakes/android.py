"""A phone behind adbutils' own test server: what adb's protocol says is theirs, what a device does is here.

The server is `tests/adb_server.py` of adbutils' sdist (`adb_server.py` of this folder fetches it); it has a table of canned
answers and no files, so the services of a device are registered with it: `host:devices`, features, and on a device's
transport `shell,v2` (a real `sh` in a session of its own, whose input closes with the connection, as adbd has it in
daemon/shell_service.cpp) and `sync:` (SEND, RECV). Paths of the device are those of this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
import struct
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

SERIAL = "FAKE0001"
NO_SPACE = "couldn't write file: No space left on device"

_PROPERTIES = {
    "ro.product.manufacturer": "Maker",
    "ro.product.model": "Model 9",
    "ro.soc.manufacturer": "Chips",
    "ro.soc.model": "C1",
    "ro.board.platform": "board",
    "ro.build.version.release": "14",
    "ro.product.cpu.abi": "arm64-v8a",
}
# As `dumpsys battery`, `dumpsys thermalservice`, `dumpsys power` and `settings get global` of Android 14 print.
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  health: 2
  present: true
  level: 87
  scale: 100
  voltage: 4210
  temperature: 251
  technology: Li-ion
"""
_PROGRAMS = {
    "getprop": "case $1 in\n"
    + "".join(f"{name}) echo '{value}';;\n" for name, value in _PROPERTIES.items())
    + "esac\n",
    "dumpsys": f"""case $1 in
battery) cat <<'E'
{BATTERY}E
;;
thermalservice) echo 'Thermal Status: 0';;
power) echo '  mWakefulness=Awake';;
esac
""",
    "nproc": f"echo {len(os.sched_getaffinity(0))}\n",
    "settings": "case $3 in airplane_mode_on) echo 0;; *) echo 0;; esac\n",
}


class FakePhone:
    """One device, or what is wrong with it.

    root: where its programs lie; files go wherever they are sent. states: serial -> state, as `adb devices` prints.
    full: SEND fails. spoils: it writes something else. calls: the services that were asked for.
    unplug_at: the number of the service during which it goes.
    """

    def __init__(self, server: ModuleType, root: Path) -> None:
        self.root = root
        self.states = {SERIAL: "device"}
        self.full = self.spoils = False
        self.calls: list[str] = []
        self.unplug_at: int | None = None
        self.unplug_after_s = 0.0
        self.port = 0
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        programs = root / "bin"
        programs.mkdir(parents=True)
        for name, text in _PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}")
            (programs / name).chmod(0o755)

    def __enter__(self) -> FakePhone:
        self._thread.start()
        while not self.port:
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def unplug(self) -> None:
        """Every connection to it breaks, and `adb devices` shows it no more."""
        self.states.clear()
        for writer in list(self._writers):
            writer.transport.abort()

    def sent(self) -> list[str]:
        """Paths that were written to it."""
        return [call.removeprefix("SEND ") for call in self.calls if call.startswith("SEND ")]

    def _serve(self) -> None:
        self._loop.run_until_complete(self._until_stopped())
        self._loop.close()

    async def _until_stopped(self) -> None:
        self._stop = asyncio.Event()
        self._commands = self._server.COMMANDS
        before = dict(self._commands)
        self._commands.clear()
        self._commands["host:version"] = before["host:version"]
        self._commands["host:devices"] = self._devices
        self._commands[re.compile(r"host-serial:.*:features$", re.DOTALL)] = self._features
        self._commands[re.compile(r"host:tport:serial:.*", re.DOTALL)] = self._transport
        serve = self._server.AdbServer()  # theirs, on a port of the system's choice

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):  # theirs has none for a client that leaves
                await self._server.handle_command(reader, writer, serve)
            writer.close()

        listening = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        await self._stop.wait()
        listening.close()
        for writer in list(self._writers):
            writer.transport.abort()
        pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.wait(pending, timeout=10) if pending else None
        self._commands.clear()
        self._commands.update(before)

    async def _devices(self, context: Any) -> None:
        lines = "".join(f"{serial}\t{state}\n" for serial, state in self.states.items())
        await context.send(b"OKAY")
        await context.send(self._server.encode(lines))

    async def _features(self, context: Any) -> None:
        await context.send(b"OKAY")
        await context.send(self._server.encode("cmd,shell_v2,stat_v2"))

    async def _transport(self, context: Any) -> None:
        serial = context.command.removeprefix("host:tport:serial:")
        if self.states.get(serial) != "device":
            await context.send(b"FAIL")
            await context.send(self._server.encode(f"device '{serial}' not found"))
            return
        await context.send(b"OKAY" + bytes(8))
        self._writers.add(context.writer)
        try:
            service = await context.recv_string_block()
            self.calls.append(service)
            if self.unplug_at is not None and len(self.calls) >= self.unplug_at:
                self._loop.call_later(self.unplug_after_s, self.unplug)
            await context.send(b"OKAY")
            if service == "sync:":
                await self._sync(context)
            else:
                assert service.startswith("shell,v2,raw:"), service
                await self._shell(context, service.removeprefix("shell,v2,raw:"))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(context.writer)

    async def _shell(self, context: Any, command: str) -> None:
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PATH": path},
        )
        assert process.stdin is not None

        async def forward(stream: asyncio.StreamReader | None, kind: int) -> None:
            assert stream is not None
            while data := await stream.read(4096):
                with contextlib.suppress(ConnectionError):
                    await context.send_shell_v2(kind, data)

        async def until_lost() -> None:
            with contextlib.suppress(ConnectionError):
                while await context.reader.read(4096):
                    pass
            assert process.stdin is not None
            process.stdin.close()

        lost = asyncio.ensure_future(until_lost())
        await asyncio.gather(forward(process.stdout, 1), forward(process.stderr, 2))
        code = await process.wait()
        lost.cancel()
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await context.send_shell_v2(3, bytes([code & 0xFF]))

    async def _sync(self, context: Any) -> None:
        request, length = struct.unpack("<4sI", await context.reader.readexactly(8))
        name = (await context.reader.readexactly(length)).decode()
        if request == b"RECV":
            await self._receive(context, name)
            return
        assert request == b"SEND", request
        path, _, mode = name.rpartition(",")
        self.calls.append(f"SEND {path}")
        content = b""
        while True:
            kind, length = struct.unpack("<4sI", await context.reader.readexactly(8))
            if kind == b"DONE":
                break
            assert kind == b"DATA", kind
            assert length <= 64 * 1024
            content += await context.reader.readexactly(length)
            if self.full:
                await self._refused(context, NO_SPACE)
                return
        try:
            Path(path).write_bytes(content[:-1] + b"?" if self.spoils else content)
            Path(path).chmod(stat.S_IMODE(int(mode)))
        except OSError as exc:
            await self._refused(context, f"couldn't create file: {exc.strerror}")
            return
        await context.send(b"OKAY" + bytes(4))

    async def _receive(self, context: Any, path: str) -> None:
        try:
            content = Path(path).read_bytes()
        except OSError as exc:
            await self._refused(context, f"open failed: {exc.strerror}")
            return
        for start in range(0, len(content), 64 * 1024):
            block = content[start : start + 64 * 1024]
            await context.send(b"DATA" + struct.pack("<I", len(block)) + block)
        await context.send(b"DONE" + bytes(4))

    async def _refused(self, context: Any, why: str) -> None:
        await context.send(b"FAIL" + struct.pack("<I", len(why)) + why.encode())
