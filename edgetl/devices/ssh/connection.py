"""A login over ssh, kept open in a thread of its own, and the programs that were started through it.

asyncssh reads the user's `~/.ssh/config` and asks the user's agent. A host key is always checked, whatever the config says.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from edgetl.devices.ssh.refusals import KnownKeys, lost, refusal
from edgetl.errors import DeviceError, EnvironmentFault

if TYPE_CHECKING:
    import asyncssh

__all__ = ["Connection", "Program"]

CONNECT_TIMEOUT_S = 20.0
KEEPALIVE_S, KEEPALIVES = 5.0, 6
"""A host that does not answer for half a minute is lost."""
SESSIONS = 8
"""Programs at once on one connection: sshd's MaxSessions is 10 by default, and counts some that are just ending."""
STDERR_KEPT = 1 << 16

Result = TypeVar("Result")


class Connection:
    """Logins to one host: one, and another for every `SESSIONS` programs.

    Raises:
        EnvironmentFault: asyncssh is not installed.
        DeviceError: the host cannot be reached, is not who it was, or refuses the login.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._ssh = _asyncssh()
        self._logins: list[tuple[asyncssh.SSHClientConnection, list[Program]]] = []
        self._closing = False
        self._lost: str | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"ssh {host}", daemon=True)
        self._thread.start()
        try:
            self._run(self._login())
        except BaseException:
            self.close()
            raise

    def start(self, command: str) -> Program:
        """Start a command line on the host.

        Raises:
            DeviceError: the connection is lost, or the host starts no more.
        """
        return self._run(self._start(command))

    @property
    def is_lost(self) -> bool:
        """Whether it ended without `close`."""
        return self._lost is not None

    def fail(self, why: str) -> None:
        """Give it up; whoever waits for a program is told. Called in its own thread."""
        if not self._closing and self._lost is None:
            self._lost = why
            for login, _ in self._logins:
                login.abort()

    def loss(self) -> DeviceError:
        """That it was lost, for whoever waited for something."""
        return lost(self.host, self._lost or "it was closed")

    def close(self) -> None:
        """End it, with all programs that still run through it; may be called again."""
        self._closing = True
        if self._loop.is_closed():
            return
        with contextlib.suppress(DeviceError, TimeoutError, OSError):
            self._run(self._logout())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Have the thread do it, and wait."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _login(self) -> None:
        keys, outer = KnownKeys(), self

        class Client(self._ssh.SSHClient):  # type: ignore[name-defined, misc]  # known only once it is imported
            def connection_lost(self, exc: Exception | None) -> None:
                outer.fail(str(exc) if exc else "the other side closed it")

        try:
            options = await self._ssh.SSHClientConnectionOptions.construct(
                host=self.host,
                config=(),  # the user's
                connect_timeout=CONNECT_TIMEOUT_S,
                login_timeout=CONNECT_TIMEOUT_S,
                keepalive_interval=KEEPALIVE_S,
                keepalive_count_max=KEEPALIVES,
                known_hosts=b"",
            )
            keys.read(options.config)  # ours, because for `UserKnownHostsFile none` asyncssh would check nothing
            connect = functools.partial(
                self._ssh.connect, self.host, options=options, known_hosts=keys, client_factory=Client
            )
            try:
                login = await connect()
            except (self._ssh.KeyExchangeFailed, self._ssh.ConnectionLost, ConnectionResetError):
                # One failure, told by whoever hangs up first.
                if not keys.any:
                    raise
                # It may have keys of other types alone than the known one: then it is told which, and refused for it.
                login = await connect(server_host_key_algs="default")
        except (self._ssh.Error, self._ssh.ConfigParseError, self._ssh.KeyImportError, OSError, ValueError) as exc:
            raise refusal(self.host, exc, keys) from exc
        self._logins.append((login, []))

    async def _start(self, command: str) -> Program:
        if self.is_lost:
            raise self.loss()
        login, programs = await self._free()
        try:
            process = await login.create_process(command, encoding=None)
        except (self._ssh.Error, OSError) as exc:
            if self.is_lost or isinstance(exc, ConnectionError):
                raise lost(self.host, self._lost or str(exc)) from exc
            raise DeviceError(
                f"starts no program: {exc}",
                place=self.host,
                hint=f"look at sshd's log there, and try ssh {self.host} true",
            ) from exc
        program = Program(self, process, self._loop)
        programs.append(program)
        return program

    async def _free(self) -> tuple[asyncssh.SSHClientConnection, list[Program]]:
        """A login that takes one more program."""
        for _, programs in self._logins:
            programs[:] = [program for program in programs if not program.ended]
        if all(len(programs) >= SESSIONS for _, programs in self._logins):
            await self._login()
        return next(each for each in self._logins if len(each[1]) < SESSIONS)

    async def _logout(self) -> None:
        for login, _ in self._logins:
            login.close()
        for login, _ in self._logins:
            try:
                await asyncio.wait_for(login.wait_closed(), 5.0)
            except (TimeoutError, self._ssh.Error, OSError):
                login.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Program:
    """A program on the host: bytes go in, lines come out."""

    def __init__(
        self, connection: Connection, process: asyncssh.SSHClientProcess[bytes], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection, self._process, self._loop = connection, process, loop
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._errors = bytearray()
        self._done = threading.Event()
        self._then: Callable[[], None] | None = None
        self._reading = [loop.create_task(self._read_lines()), loop.create_task(self._read_errors())]

    @property
    def ended(self) -> bool:
        """Whether it is over, as far as is known here."""
        return self._done.is_set()

    def send(self, content: bytes) -> None:
        """Pass bytes on to its input, as fast as the other side takes them; nothing where it does not read any more."""
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self._connection._run(self._send(content))

    def beat(self, content: bytes) -> None:
        """Pass bytes on from the thread of the connection, without waiting."""
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self._process.stdin.write(content)

    def every(self, seconds: float, content: bytes) -> None:
        """Pass bytes on again and again until it ended."""

        async def again() -> None:
            while not self.ended:
                await asyncio.sleep(seconds)
                self.beat(content)

        asyncio.run_coroutine_threadsafe(again(), self._loop)

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call something in the connection's thread when it ended, or now if it has."""
        self._then = then
        if self.ended:
            self._loop.call_soon_threadsafe(then)

    def line(self, timeout: float) -> bytes | None:
        """Its next line, or None after the last.

        Raises:
            TimeoutError: none came.
        """
        try:
            return self._lines.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None

    def end_input(self) -> None:
        """Nothing more will be sent."""
        with contextlib.suppress(BrokenPipeError, ConnectionError, RuntimeError):
            self._loop.call_soon_threadsafe(self._write_eof)

    def wait(self, timeout: float) -> bool:
        """Whether it ended in time."""
        return self._done.wait(timeout)

    def errors(self) -> str:
        """The last of what it wrote to stderr, once it ended all of that."""
        self._done.wait(1.0)
        return self._errors.decode("utf-8", "replace")

    def code(self) -> int | None:
        """Its exit code, negative the number of a signal; None where the connection ended before it."""
        status: int | None = self._process.returncode
        return status

    def _write_eof(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError, OSError):
            self._process.stdin.write_eof()

    async def _send(self, content: bytes) -> None:
        self._process.stdin.write(content)
        await self._process.stdin.drain()

    async def _read_lines(self) -> None:
        with contextlib.suppress(Exception):
            rest = b""
            while piece := await self._process.stdout.read(1 << 16):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._lines.put(line)  # and never the rest: a line without its end is half an answer
        with contextlib.suppress(Exception):
            await self._reading[1]
            await self._process.wait_closed()
        self._done.set()
        if self._then is not None:
            self._then()
        self._lines.put(None)

    async def _read_errors(self) -> None:
        with contextlib.suppress(Exception):
            while piece := await self._process.stderr.read(4096):
                self._errors += piece
                del self._errors[:-STDERR_KEPT]


def _asyncssh() -> Any:
    try:
        import asyncssh
    except ImportError as exc:
        raise EnvironmentFault("asyncssh is not installed", hint="pip install 'edgetl[ssh]'") from exc
    return asyncssh
