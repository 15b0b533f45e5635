"""The screen of a build: one live display on a terminal, plain lines elsewhere, warnings alone when it is to be quiet.

Each writes to its own duplicate of stderr, so it goes on while the process's stderr is captured. What a display cannot
write, because the terminal is gone or the pipe closed, is lost without harm to the build.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TextIO

from edgetl.console.capture import duplicate
from edgetl.console.times import clock

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Display", "Running", "display"]

LIFE_SECONDS = 45.0
_WINDOW = 300
_SETTLED = 5.0


class Running:
    """What runs right now, and how fast. The build's thread writes it, the display's thread reads it.

    title: of the stage; empty outside one.
    label, done, total: as last reported; a total of 0 means that nothing was.
    """

    def __init__(self, title: str = "") -> None:
        self.title, self.said, self.label = title, "", ""
        self.done = self.total = 0
        self.began = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def advance(self, label: str, done: int, total: int) -> None:
        """Note a step."""
        now = time.monotonic()
        if total != self.total or done < self.done:
            self._seen.clear()
        if not self._seen or now - self._seen[-1][0] >= 1.0:
            self._seen.append((now, done))
        self.label, self.done, self.total = label, done, total

    def busy(self) -> bool:
        """Whether reported steps are left."""
        return 0 <= self.done < self.total

    def left(self) -> float | None:
        """Seconds to the last step at the pace of the last minutes; None where that is not known yet.

        rich.progress looks at the last 30 seconds: over epochs with a pause for validation its median error is 18 to 29 %
        where this one's is 2 to 5 %, and plain lines would import rich.
        """
        if not self.busy() or not self._seen:
            return None
        since, first = self._seen[0]
        spent, steps = time.monotonic() - since, self.done - first
        if spent < _SETTLED or steps <= 0:
            return None
        return (self.total - self.done) * spent / steps

    def times(self) -> str:
        """For example `41 %  1:02, about 4:10 left`."""
        share = f"{self.done / self.total:.0%}  ".replace("%", " %") if self.busy() else ""
        left = self.left()
        return f"{share}{clock(time.monotonic() - self.began)}" + (f", about {clock(left)} left" if left else "")


class Display:
    """Warnings alone; the others add to it."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._own = out, out is not sys.stderr
        self.running = Running()

    def keep(self, text: str) -> None:
        """Show a line for good."""
        print(text, file=self._out, flush=True)

    def say(self, text: str) -> None:
        """Show a line for now."""

    def begin(self, title: str) -> None:
        """A stage runs."""
        self.running = Running(title)

    def end(self, summary: str) -> None:
        """It runs no more."""
        self.running = Running()

    def close(self) -> None:
        """Leave the screen as it is."""
        if self._own:
            self._out.close()


class Lines(Display):
    """Plain lines, and one now and then while there is nothing else to say."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._last = time.monotonic()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="edgetl-progress", daemon=True)
        self._heart.start()

    def keep(self, text: str) -> None:
        """Print it."""
        self._last = time.monotonic()
        super().keep(text)

    def say(self, text: str) -> None:
        """Print it."""
        self.keep(text)

    def begin(self, title: str) -> None:
        """Print the title."""
        super().begin(title)
        self.keep(title)

    def end(self, summary: str) -> None:
        """Print the summary."""
        super().end(summary)
        self.keep(summary)

    def close(self) -> None:
        """Stop the signs of life."""
        self._closed.set()
        self._heart.join()
        super().close()

    def _beat(self) -> None:
        while not self._closed.wait(min(1.0, LIFE_SECONDS / 2)):
            running = self.running
            if time.monotonic() - self._last >= LIFE_SECONDS and (running.title or running.busy()):
                self.keep("  " + "  ".join(part for part in (running.label or running.title, running.times()) if part))


class Screen(Display):
    """The running stage at the bottom of a terminal, redrawn four times a second; finished ones above it, a line each."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(out)
        self._console = Console(file=out, force_terminal=True, force_interactive=True)
        self._live = Live(
            console=self._console,
            get_renderable=self._drawn,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def keep(self, text: str) -> None:
        """Print it above the display, in full."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Show it until the next one; outside a stage, for good."""
        if self.running.title:
            self.running.said = text.strip()
        else:
            self.keep(text)

    def begin(self, title: str) -> None:
        """Show it at once."""
        super().begin(title)
        self._live.refresh()

    def end(self, summary: str) -> None:
        """Leave one line of the stage: how long it took, and what was last said."""
        from rich.text import Text

        said = self.running.said
        super().end(summary)
        self._live.refresh()
        line = Text(summary + (f"  {said}" if said else ""), no_wrap=True, overflow="ellipsis")
        line.stylize("dim", len(summary))
        line.truncate(self._width(), overflow="ellipsis")
        self._console.print(line, soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Take the display off the screen."""
        self._live.stop()
        super().close()

    def _width(self) -> int:
        """Columns of the terminal now, less one: a full last column wraps on some."""
        try:
            columns = os.get_terminal_size(self._out.fileno()).columns
        except OSError:
            columns = 0
        return max(10, (columns or 80) - 1)

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        running, width = self.running, self._width()
        self._console.width = width  # rich asks the standard streams, which are captured
        if not running.title and not running.busy():
            return Group()
        what = [part for part in (running.title, running.label if running.busy() else "") if part]
        if len("  ".join(what)) <= width:
            what = ["  ".join(what)]
        rows: list[RenderableType] = [Text(line, no_wrap=True, overflow="ellipsis") for line in what]
        times = Text("  " + running.times(), no_wrap=True, overflow="ellipsis")
        room = min(40, width - len(times) - 4)
        if running.busy() and room >= 8:
            grid = Table.grid(padding=(0, 0))
            grid.add_row("  ", ProgressBar(total=running.total, completed=running.done, width=room), times)
            rows.append(grid)
        else:
            rows.append(times)
        if running.said:
            rows.append(Text(f"  {running.said}", style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)


def display(quiet: bool) -> Display:
    """The display that fits stderr as it is now."""
    terminal = sys.stderr.isatty() and os.environ.get("TERM") not in (None, "", "dumb", "unknown")
    out = duplicate(sys.stderr)
    if quiet:
        return Display(out)
    return Screen(out) if terminal else Lines(out)
