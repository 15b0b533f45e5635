"""`edgetl history`: what was measured, exported, and two bundles held against each other without measuring again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import HistoryOption, JsonOption
from edgetl.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from edgetl.history import Comparison

_ENDINGS = (".csv", ".json")

BundleOption = Annotated[
    str | None,
    typer.Option("--bundle", metavar="B", help="Only this bundle: name, label, beginning of its sha256, or folder."),
]


def register(app: typer.Typer) -> None:
    """Add this file's group of commands."""
    group = typer.Typer(
        name="history",
        help="List, export and compare what edgetl bench and builds measured.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list")(_list)
    group.command("export")(_export)
    group.command("compare")(_compare)
    app.add_typer(group)


def _list(file: HistoryOption = None, bundle: BundleOption = None, as_json: JsonOption = False) -> None:
    """Measurements, the oldest first."""
    from edgetl.api.history import measurements
    from edgetl.api.project import history_path
    from edgetl.history.table import to_json
    from edgetl.history.wording import record_lines

    records = measurements(file, bundle=bundle)
    if as_json:
        print(to_json(records), end="")
        return
    for line in record_lines(records):
        print(line)
    print(f"{len(records)} measurements, in {history_path(file)}")


def _export(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.csv or FILE.json.", show_default=False)],
    file: HistoryOption = None,
    bundle: BundleOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
) -> None:
    """Write measurements to a file, CSV or JSON by its ending; JSON holds the rounds too."""
    from edgetl.api.history import measurements
    from edgetl.api.paths import expanded, require_writable, write_text
    from edgetl.history.table import to_csv, to_json

    path = expanded(out)
    if path.suffix not in _ENDINGS:
        raise UsageError(f"got {path.suffix or 'no ending'}, expected .csv or .json", place=str(path))
    require_writable(path, force=force, option="FILE")
    records = measurements(file, bundle=bundle)
    write_text(path, (to_csv if path.suffix == ".csv" else to_json)(records), option="FILE")
    print(f"{len(records)} measurements -> {path}")


def _compare(
    now: Annotated[
        str, typer.Argument(help="Label, bundle's sha256 (its beginning), name or folder.", show_default=False)
    ],
    before: Annotated[str, typer.Argument(help="The same, of what it is compared with; or last.", show_default=False)],
    file: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold two bundles that were measured against each other. Exit code 1 when something got worse."""
    from edgetl.api.history import compare

    comparison = compare(now, before, file=file)
    if as_json:
        print(json.dumps(comparison.to_json()))
    else:
        tell(comparison)
    judge(comparison)


def tell(comparison: Comparison) -> None:
    """Print a comparison for people."""
    from edgetl.history.wording import comparison_lines

    for line in comparison_lines(comparison):
        print(line)


def judge(comparison: Comparison) -> None:
    """Raise GateFailed where something got worse; that no time could be compared is no good news, and said on stderr."""
    worse = comparison.regressions
    if comparison.rows and all(row.reason for row in comparison.rows):
        first = comparison.rows[0]
        quickly = first.differs.get("mode") == ("quick", "full")
        hint = " (a build measures quickly: --quick measures alike)" if quickly else ""
        print(f"warning: no time could be compared with {comparison.baseline}: {first.reason}{hint}", file=sys.stderr)
    if worse:
        raise GateFailed(
            f"{len(worse)} regression{'s' * (len(worse) != 1)} against {comparison.baseline}: {'; '.join(worse)}",
            place="compare",
            hint="measure again to be sure: more measurements of both bundles make the intervals narrower",
        )
