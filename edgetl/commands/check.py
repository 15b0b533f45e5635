"""`edgetl check`: a recipe and its data, or data alone, looked at without training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import JsonOption, SetOption
from edgetl.commands.completion import complete_recipe
from edgetl.commands.pairs import ColumnsOption, columns_of

if TYPE_CHECKING:
    from edgetl.api.check import Survey

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
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a recipe and every picture of its data, without training. Exit code 2 when a build would stop."""
    from edgetl.api.check import check
    from edgetl.console.progress import Console

    with Console() as console:
        result = check(recipe, overrides=set_ or (), data=data, columns=columns_of(columns), progress=console)
    print(json.dumps(result.to_json()) if as_json else "\n".join(_lines(result.survey)))
    result.raise_on_problems()


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
