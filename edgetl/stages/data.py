"""data: labelled pictures become a split table and one file of decoded pixels.

Result: `table.json` (every record with its split), `images.npy` (uint8 [N, H, W, 3], rows as in the table) and
`summary.json` (what the report says about the data).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgetl.data import leaks, readers
from edgetl.data.fingerprint import Fingerprints, fingerprint
from edgetl.data.records import SPLITS, DataWarning, Record
from edgetl.data.splits import split
from edgetl.data.table import DataTable
from edgetl.recipe import Recipe
from edgetl.stages.settings import split_seed
from edgetl.stages.stage import Context, Stage

__all__ = ["STAGE", "fingerprint"]

_SAMPLES_PER_CLASS = 4


def _settings(recipe: Recipe) -> Any:
    # Where the pictures lie does not matter: the pipeline adds their fingerprint to the key.
    data = recipe.data.model_dump(mode="json", exclude={"root", "stand_in", "augment"})
    data["split"]["seed"] = split_seed(recipe)
    return {"data": data}


def _run(context: Context) -> None:
    from edgetl.data.images import cache  # numpy, at run time: listing the stages stays cheap
    from edgetl.runtime.preprocessing import Preprocessing, Resize

    data = context.recipe.data
    table, found, cautions = _table(context)
    for caution in cautions:
        context.progress.say(f"warning: {caution}")
    size = data.image_size
    preprocessing = Preprocessing(Resize(data.resize.mode, data.resize.kernel, height=size, width=size))
    cache(table, context.data_root, preprocessing, context.folder / "images.npy", context.progress)
    table.save(context.folder / "table.json")
    _write_json(context.folder / "summary.json", _summary(table, found, cautions))


def _table(context: Context) -> tuple[DataTable, leaks.Leaks, list[str]]:
    """Read, find leaks, split; the cautions are for console and report."""
    recipe = context.recipe
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        records = readers.read(recipe.data.kind, context.data_root)
    cautions = [str(warning.message) for warning in caught if issubclass(warning.category, DataWarning)]
    images = [record.image for record in records]
    digests = Fingerprints(context.scratch / "hashes.sqlite").digest(context.data_root, images)
    merged = leaks.merge_identical(records, digests)
    splits = split(merged, recipe.data.split.val, recipe.data.split.test, split_seed(recipe))
    table = DataTable(
        classes=tuple(sorted({record.label for record in records})),
        records=tuple(replace(record, split=where) for record, where in zip(merged, splits, strict=True)),
        source=recipe.data.kind,
        has_groups=all(record.group is not None for record in records),
    )
    found = leaks.find(table.records, digests)
    return table, found, cautions + _group_cautions(records) + _leak_cautions(found)


def _group_cautions(records: Sequence[Record]) -> list[str]:
    lone = sum(record.group is None for record in records)
    if not lone:
        return []
    which = "the source does not say" if lone == len(records) else f"for {lone} images the source does not say"
    return [
        f"{which} which images show the same lesion or patient: images of one patient may be in training and test, "
        "and every metric and its interval are optimistic"
    ]


def _leak_cautions(found: leaks.Leaks) -> list[str]:
    cautions = []
    if found.identical:
        copies = sum(len(same.images) for same in found.identical)
        cautions.append(f"{copies} files are byte-identical to another one; identical files were kept in one split")
    if found.conflicting:
        first = "; ".join(f"{' = '.join(same.images)}: {', '.join(same.labels)}" for same in found.conflicting[:3])
        cautions.append(f"{len(found.conflicting)} sets of identical files have contradicting labels: {first}")
    return cautions


def _summary(table: DataTable, found: leaks.Leaks, cautions: list[str]) -> dict[str, Any]:
    """The report's `data` part."""
    counts = {name: dict.fromkeys(table.classes, 0) for name in SPLITS}
    for record in table.records:
        assert record.split is not None, record.image
        counts[record.split][record.label] += 1
    return {
        "source": table.source,
        "images": len(table.records),
        "classes": {label: sum(counts[name][label] for name in SPLITS) for label in table.classes},
        "has_groups": table.has_groups,
        "splits": {
            name: {
                "images": len(table.rows(name)),
                "groups": len(set(table.groups(name))),
                "classes": counts[name],
            }
            for name in SPLITS
        },
        "leaks": found.to_json(),
        "warnings": cautions,
        "samples": _samples(table),
    }


def _samples(table: DataTable) -> list[dict[str, Any]]:
    """Evenly spaced training pictures of each class, by their row in images.npy, for the report to show."""
    samples: list[dict[str, Any]] = []
    rows = table.rows("train")
    labels = table.labels("train")
    for number, label in enumerate(table.classes):
        own = rows[labels == number]
        step = max(1, len(own) // _SAMPLES_PER_CLASS)
        samples += [
            {"row": int(row), "label": label, "image": table.records[row].image}
            for row in own[::step][:_SAMPLES_PER_CLASS]
        ]
    return samples


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


STAGE = Stage(name="data", version=1, needs=(), settings=_settings, tools=("pillow",), run=_run)
