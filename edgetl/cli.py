"""The command line: parses, calls, prints. Results go to stdout, everything else to stderr.

A command's work is imported when it runs, so that `edgetl --help` loads neither torch nor any runtime.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from edgetl import __version__
from edgetl.commands import bench, build, bundle
from edgetl.errors import EdgetlError, EnvironmentFault

app = typer.Typer(
    name="edgetl",
    help="From labelled medical images to a small, verified, measured network on a phone.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (anywhere in the line).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for group in (build, bundle, bench):
    group.register(app)


def main() -> None:
    """Run the command line; an error is one block on stderr and its own exit code."""
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app()
    except EdgetlError as exc:
        _fail(exc, debug)
    except MemoryError:
        _fail(EnvironmentFault("out of memory", hint="lower batch_size or image_size; finished stages are kept"), debug)


def _fail(error: EdgetlError, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
