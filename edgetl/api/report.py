"""`edgetl report`: the page of a run, rendered again."""

from __future__ import annotations

from pathlib import Path

from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, expanded
from edgetl.errors import UsageError

__all__ = ["render_report"]


@boundary
def render_report(run: AnyPath) -> Path:
    """Render report.html again from what a run folder keeps.

    Returns:
        The page.

    Raises:
        UsageError: there is no such folder.
        IntegrityError: its report.json is missing or damaged.
    """
    from edgetl.stages.report.report import render_again

    folder = expanded(run)
    if not folder.is_dir():
        raise UsageError("there is no run", place=str(folder), hint="a build writes it to runs/NAME")
    return render_again(folder)
