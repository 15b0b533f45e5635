"""The command line: parses, calls, prints. Results go to stdout, everything else to stderr.

A command's work is imported when it runs, so that `edgetl --help` loads neither torch nor any runtime.

Whatever goes wrong is one block on stderr and an exit code (edgetl.errors), with --json too: stdout holds the result alone.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from edgetl import __version__
from edgetl.commands import backbones, bench, build, bundle, cache, check, doctor, explain, history, init, schema
from edgetl.console.exits import drop_output, reader_is_gone, translated
from edgetl.console.streams import open_closed, tell

app = typer.Typer(
    name="edgetl",
    help="From labelled medical images to a small, verified, measured network on a phone.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_COMPLETE = "_EDGETL_COMPLETE"  # set when a shell asks what may follow
_ANYWHERE = ("--debug", "--quiet")
_READER_GONE = 141  # what a shell shows for a program that SIGPIPE ended


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (anywhere in the line).")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Say nothing but warnings and errors (anywhere in the line).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for group in (init, check, build, bundle, bench, history, backbones, cache, explain, schema, doctor):
    group.register(app)


def main() -> None:
    """Run the command line."""
    open_closed()
    if _COMPLETE in os.environ:
        app(prog_name="edgetl")
    words, flags = _split(sys.argv[1:])
    if "--quiet" in flags:
        os.environ["EDGETL_QUIET"] = "1"  # edgetl.console.progress reads it
    try:
        code = _run(words)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - behind this is only Python's traceback
        gone = isinstance(exc, BrokenPipeError) and reader_is_gone()
        drop_output()
        if gone:
            sys.exit(_READER_GONE)
        if "--debug" in flags:
            tell(traceback.format_exc())
        error = translated(exc)
        tell(f"error: {error}")
        code = error.exit_code
    sys.exit(code)


def _split(words: Sequence[str]) -> tuple[list[str], set[str]]:
    """The line without the options that may stand anywhere in it, and those; behind `--` nothing is an option."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word not in _ANYWHERE]
    return [*kept, *words[end:]], set(words[:end]) & set(_ANYWHERE)


def _run(words: list[str]) -> int:
    """The exit code. Typer's own main prints errors in its style, and takes any broken pipe for that of stdout."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("edgetl", words) as context:
            command.invoke(context)
    except typer.Exit as exc:
        return exc.exit_code
    return 0
