"""The command line in process: what it printed, and the exit code."""

from __future__ import annotations

import sys

import pytest

from edgetl.cli import main


def edgetl(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `edgetl WORDS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgetl", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), *capsys.readouterr()
