"""What a rehearsal is doing, and how it ends where it cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgetl.errors import EdgetlError, EnvironmentFault, UsageError, out_of_memory
from edgetl.errors.wording import one_line

__all__ = ["LESS", "Failure", "Say", "Steps"]

LESS = "a smaller batch_size or image_size needs less memory"

Say = Callable[[str], None]


class Failure(UsageError):
    """The path ends here: what a training would have led to after hours."""


@dataclass(frozen=True)
class Steps:
    """What is being done, for whoever waits and for the message when it fails."""

    say: Say

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Name everything that goes wrong in the block."""
        self.say(what)
        try:
            yield
        except Failure:
            raise
        except EnvironmentFault as exc:  # the machine's fault is no file's
            raise EnvironmentFault(f"{what}: {exc.message}", place=exc.place, hint=exc.hint) from exc
        except EdgetlError as exc:
            reason = exc.message.removeprefix(what.partition(" ")[0]).lstrip()  # both name the file
            raise Failure(f"{what}: {reason}", hint=exc.hint) from exc
        except Exception as exc:  # third parties raise every type there is
            if out_of_memory(exc):
                raise EnvironmentFault(f"{what}: {one_line(exc)}", hint=LESS) from exc
            raise Failure(f"{what}: {type(exc).__name__}: {one_line(exc)}") from exc
