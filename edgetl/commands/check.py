"""`edgetl check`: a recipe and its data, or data alone, looked at without training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import JsonOption, split_data
from edgetl.commands.completion import complete_recipe
from edgetl.commands.pairs import ColumnsOption, columns_of
from edgetl.commands.project import announce_stand_in, store_folder
from edgetl.errors import DataError, Interrupted, UsageError

if TYPE_CHECKING:
    from edgetl.api.check import Check, Survey
    from edgetl.console.progress import Progress

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("check")(_check)


def _check(
    recipe: Annotated[
        Path | None, typer.Argument(help="Recipe file (YAML).", show_default=False, autocompletion=complete_recipe)
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="KIND:ROOT", help="Data without a recipe.")] = None,
    columns: ColumnsOption = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a field.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a recipe and every picture of its data, without training. Exit code 2 when a build would stop."""
    from edgetl.api import check
    from edgetl.console.capture import captured
    from edgetl.console.progress import Console

    if (recipe is None) == (data is None):
        raise UsageError("check: expected a recipe, or --data KIND:ROOT", hint="edgetl check --help")
    if data is not None and set_:
        raise UsageError("--set changes fields of a recipe, and --data has none", hint="edgetl check RECIPE --set ...")
    if data is None and columns:
        raise UsageError("--columns is for --data", hint="--set data.columns.label=... changes those of a recipe")
    try:
        with Console() as console, captured():  # what libtiff prints is nobody's, and helps nobody
            if recipe is not None:
                found = _of_recipe(recipe, set_ or [], console)
            else:
                found = check.check_data(*split_data(data or ""), columns_of(columns), console)
    except KeyboardInterrupt as exc:
        raise Interrupted("interrupted; a check changes nothing") from exc
    print(json.dumps(found.to_json()) if as_json else "\n".join(_lines(found.survey)))
    if found.problems:
        others = "".join(f"\n  and: {problem}" for problem in found.problems[1:])
        raise DataError(f"a build would stop here: {found.problems[0]}{others}", place=str(found.root))


def _of_recipe(path: Path, overrides: Sequence[str], progress: Progress) -> Check:
    from edgetl.api import check
    from edgetl.config.loading import load
    from edgetl.store import Store

    loaded = load(path, overrides)
    if loaded.stand_in:
        announce_stand_in(loaded)
    return check.check_recipe(loaded, Store(store_folder(loaded)), progress)


def _lines(found: Survey) -> Iterator[str]:
    """The result for a person."""
    known = f"{found.groups} groups" if found.has_groups else "groups unknown"
    yield f"{found.images} images, {known}, {len(found.classes)} classes"
    width = max(map(len, found.classes))
    for name, one in found.classes.items():
        groups = f"  {one.groups:>7} groups" if found.has_groups else ""
        yield f"  {name:<{width}}  {one.images:>7} images{groups}"
    if found.splits:
        yield f"prescribed splits: {', '.join(f'{name} {count}' for name, count in found.splits.items())}"
    yield from _unreadable(found)
    yield from _leaks(found)
    yield from (f"warning: {caution}" for caution in found.cautions)
    if not found.has_groups:
        yield (
            "warning: nothing says which images show the same lesion or patient: they may be in training and test, and "
            "every metric is then optimistic"
        )


def _unreadable(found: Survey) -> Iterator[str]:
    if found.unreadable:
        yield f"{_count(len(found.unreadable), 'file')} cannot be read; repair or remove them:"
        yield from (f"  {one.image}: {one.reason}" for one in found.unreadable)


def _leaks(found: Survey) -> Iterator[str]:
    if found.leaks.groups:
        yield f"{_count(len(found.leaks.groups), 'group')} in two prescribed splits; move each to one side:"
        yield from _some([f"{one.group}: {', '.join(one.splits)}: {_few(one.images)}" for one in found.leaks.groups])
    if found.leaks.identical:
        apart = found.splits and found.leaks.across
        what = "remove all but one" if apart else "a build keeps each set in one split"
        yield f"{_count(len(found.leaks.identical), 'set')} of byte-identical files; {what}:"
        yield from _some([_set(one.images, one.labels, one.splits) for one in found.leaks.identical])
    if found.leaks.near:
        what = (
            "leave out those in training or in test" if found.leaks.near_across else "a build keeps each in one split"
        )
        sets = _count(len(found.leaks.near), "set")
        yield f"{sets} of pictures from different groups that look like one photograph saved again; {what}:"
        yield from _some([_set(one.images, one.labels, one.splits) for one in found.leaks.near])


def _set(images: Sequence[str], labels: Sequence[str], splits: Sequence[str]) -> str:
    contradict = f"  labels contradict: {', '.join(labels)}" if len(labels) > 1 else ""
    apart = f"  in {', '.join(splits)}" if len(splits) > 1 else ""
    return f"{_few(images, ' = ')}{contradict}{apart}"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"  ... and {len(lines) - _SHOWN} more (--json names all)"


def _few(images: Sequence[str], joint: str = ", ") -> str:
    return joint.join(images[:4]) + (f"{joint}... ({len(images)})" if len(images) > 4 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
