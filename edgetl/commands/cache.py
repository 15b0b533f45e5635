"""`edgetl cache`: what the store holds, whether it is right, and making room."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetl.commands.arguments import JsonOption
from edgetl.commands.completion import complete_recipe
from edgetl.errors import EnvironmentFault, IntegrityError, UsageError

if TYPE_CHECKING:
    from edgetl.store.maintenance import Pruned

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_STEPS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_KEY_DIGITS = 12

RecipeArgument = Annotated[
    Path | None,
    typer.Argument(help="The store of this recipe's project.", show_default=False, autocompletion=complete_recipe),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="DIR", help="Store folder; default EDGETL_STORE, else .edgetl.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add this file's group of commands."""
    group = typer.Typer(
        name="cache",
        help="List, prune and verify the store of finished stages.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list")(_list)
    group.command("prune")(_prune)
    group.command("verify")(_verify)
    app.add_typer(group)


def _list(recipe: RecipeArgument = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Finished stages: size, age, the seconds they took, when builds last needed them and of which recipes."""
    from edgetl.api.project import open_store
    from edgetl.store.maintenance import besides, items

    chosen = open_store(recipe, store)
    entries, others, now = items(chosen), besides(chosen), time.time()
    if as_json:
        rows = [asdict(item) for item in entries]
        print(json.dumps({"store": str(chosen.root), "entries": rows, "besides": others}))
        return
    print(f"{'stage':<20} {'key':<{_KEY_DIGITS}} {'size':>9} {'made':>9} {'took':>8} {'last used':>9}  recipes")
    for item in entries:
        ages = f"{_short(now - item.made):>9} {_short(item.seconds):>8} {_short(now - item.used):>9}"
        key = item.key[:_KEY_DIGITS]
        print(f"{item.stage:<20} {key} {_megabytes(item.size):>9} {ages}  {', '.join(item.recipes) or '-'}")
    print(f"{len(entries)} results, {_megabytes(sum(item.size for item in entries))}, in {chosen.root}")
    if others:
        print(f"besides: {', '.join(f'{what} {_megabytes(size)}' for what, size in others.items())}")


def _prune(
    recipe: RecipeArgument = None,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="30d", help="Unused for so long: hours h, days d, weeks w.")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what killed builds left, damaged results, and results that no build needed for a while.

    What a running build uses stays. Checkpoints of an interrupted training stay as long as results do.
    """
    from edgetl.api.project import open_store
    from edgetl.store.maintenance import prune

    chosen, seconds = open_store(recipe, store), _seconds(older_than)
    results = prune(chosen, seconds, time.time(), dry_run=dry_run)
    gone, left = [result for result in results if not result.problem], [result for result in results if result.problem]
    freed = sum(result.size for result in gone)
    if as_json:
        lists = {"removed": _rows(gone), "left": _rows(left)}
        print(json.dumps({"store": str(chosen.root), "dry_run": dry_run, "freed_bytes": freed, **lists}))
    else:
        for result in gone:
            print(f"{_megabytes(result.size):>9}  {result.path.relative_to(chosen.root)}  {result.what} ({result.why})")
        print(f"{'would free' if dry_run else 'freed'} {_megabytes(freed)} in {chosen.root}")
    if left:
        raise EnvironmentFault(
            f"{len(left)} of {len(results)} could not be removed, the first: {left[0].problem}",
            place=str(chosen.root),
            hint="who wrote them may remove them",
        )


def _rows(some: Sequence[Pruned]) -> list[dict[str, Any]]:
    return [{**asdict(result), "path": str(result.path)} for result in some]


def _verify(recipe: RecipeArgument = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Read all results and compare their sha256. Exit code 5 when something is damaged."""
    from edgetl.api.project import open_store
    from edgetl.store.maintenance import verify

    chosen = open_store(recipe, store)
    checks = verify(chosen)
    damaged = [check for check in checks if check.problem]
    if as_json:
        print(json.dumps({"store": str(chosen.root), "entries": [asdict(check) for check in checks]}))
    else:
        for check in damaged:
            print(f"DAMAGED  {check.stage}  {check.key[:_KEY_DIGITS]}  {check.problem}")
        print(f"{len(checks) - len(damaged)} of {len(checks)} results are right, in {chosen.root}")
    if damaged:
        raise IntegrityError(
            f"{len(damaged)} of {len(checks)} results are damaged",
            place=str(chosen.root),
            hint="the next build that needs them computes them again; edgetl cache prune removes them",
        )


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)([hdw])", text)
    if match is None:
        raise UsageError(f"--older-than {text}: expected a number and h, d or w", hint="for example --older-than 30d")
    return float(match[1]) * _UNITS[match[2]]


def _short(seconds: float) -> str:
    """90061 -> "1 d"."""
    return next((f"{seconds / size:.0f} {unit}" for unit, size in _STEPS if seconds >= size), "0 s")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
