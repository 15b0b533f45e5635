"""data: labelled pictures become a split table and decoded pixels, a folder for each split.

Result: for each of train, val and test `SPLIT/records.json` (its records with their rows), `SPLIT/pixels.npy` (uint8
[n, H, W, 3], in row order) and `SPLIT/originals.json` (sha256 of its files); `depth.json` (how deep 16-bit grey is, of all
splits); and `summary.json` (what the report says about the data). So a stage that does not look at the test split depends on
nothing of it but that number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgetl.config.recipe import Recipe
from edgetl.data import leaks, originals
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.near_duplicates import grouping
from edgetl.data.records import SPLITS, Record, Split
from edgetl.data.source import Source
from edgetl.data.splits import split
from edgetl.data.table import DataTable
from edgetl.data.unreadable import named_with
from edgetl.errors import DataError
from edgetl.files import sweep
from edgetl.results.data import DataSummary, Sample, Splits, SplitSummary
from edgetl.results.depth import Depth
from edgetl.stages.common import sources
from edgetl.stages.common.files import excluded
from edgetl.stages.common.settings import preprocessing_of, split_seed
from edgetl.stages.common.stage import SOURCE, Context, Stage

_SAMPLES_PER_CLASS = 4


def _settings(recipe: Recipe) -> Any:
    # Where the pictures lie does not matter: the pipeline adds their fingerprint to the key.
    data = recipe.data.model_dump(mode="json", exclude={"root", "stand_in", "augment", "unlabelled"})
    data["split"]["seed"] = split_seed(recipe)
    return {"data": data}


def _run(context: Context) -> None:
    from edgetl.data import pixel_types  # numpy, at run time: listing the stages stays cheap
    from edgetl.data.images import cache, divide

    sweep(context.scratch)
    whole = context.scratch / "pixels.npy"
    source, digests, unreadable, masks = _source(context)
    merged = leaks.merge_identical(source.records, digests)
    table = _table(context.recipe, source, merged)
    images = [record.image for record in table.records]
    types = pixel_types.look(source.root, images, unreadable, context.progress, context.recipe.data.bits)
    cautions = [
        *source.cautions,
        *_group_cautions(source.records),
        *_leak_cautions(leaks.find(table.records, digests)),
        *types.cautions(),
    ]
    for caution in cautions:
        context.progress.warn(f"warning: {caution}")
    preprocessing = preprocessing_of(context.recipe.data, types.bits)
    with named_with(masks, "masks", source.root):
        cache(table, context.data_root, preprocessing, whole, context.progress, unreadable)
    near = grouping.find(whole, merged, digests, context.progress)
    table = _keep_together(context.recipe, source, merged, near) or table
    alike = {record.image for same in near for record in same}
    split_of = {record.image: record for record in table.records if record.image in alike}
    leaked = leaks.find(table.records, digests, [[split_of[record.image] for record in same] for same in near])
    for caution in grouping.cautions(leaked):
        context.progress.warn(f"warning: {caution}")
        cautions.append(caution)
    table.save(context.folder)
    divide(whole, table, context.folder)
    originals.write(context.folder, source.root, table, _index(context))
    Depth(types.bits).write(context.folder)
    _summary(table, leaked, cautions).write(context.folder)


def _source(context: Context) -> tuple[Source, Mapping[str, str], dict[str, str], dict[str, str]]:
    """The records, what tells byte-identical pictures, and the pictures and masks that cannot even be opened."""
    source = sources.records(context.recipe.data, context.source, context.project)
    index = _index(context)
    # What cannot be opened is no copy of anything; the decoding names it together with the broken ones.
    digests, unreadable = index.copies(source.root, [record.image for record in source.records])
    _, masks = index.look(source.root, (record.mask for record in source.records if record.mask))
    return source, grouping.untie_broken(digests, source.root), unreadable, masks


def _index(context: Context) -> Fingerprints:
    return Fingerprints(context.scratch / "hashes.sqlite")


def _table(recipe: Recipe, source: Source, merged: Sequence[Record]) -> DataTable:
    """The records, split by their merged groups. Raises DataError where that is impossible."""
    try:
        splits = split(merged, recipe.data.split.val, recipe.data.split.test, split_seed(recipe))
    except DataError as exc:
        raise DataError(exc.message, place=source.place, hint=exc.hint) from exc
    return DataTable(
        classes=tuple(sorted({record.label for record in merged})),
        records=tuple(replace(record, split=where) for record, where in zip(merged, splits, strict=True)),
        source=recipe.data.kind,
        has_groups=all(record.group is not None for record in source.records),
    )


def _keep_together(
    recipe: Recipe, source: Source, merged: Sequence[Record], near: Sequence[Sequence[Record]]
) -> DataTable | None:
    """Split again so that near duplicates are on one side; None where there are none, or no split is possible then."""
    if not near:
        return None
    try:
        return _table(recipe, source, grouping.merge(merged, near))
    except DataError:
        return None


def _group_cautions(records: Sequence[Record]) -> list[str]:
    lone = sum(record.group is None for record in records)
    if not lone:
        return []
    which = "the source does not say" if lone == len(records) else f"for {lone} images the source does not say"
    return [
        f"{which} which images show the same lesion or patient: images of one patient may be in training and test, "
        "and every metric and its interval are optimistic"
    ]


def _leak_cautions(leaked: leaks.Leaks) -> list[str]:
    cautions = []
    if leaked.identical:
        copies = sum(len(same.images) for same in leaked.identical)
        cautions.append(f"{copies} files are byte-identical to another one; identical files were kept in one split")
    if leaked.conflicting:
        first = "; ".join(f"{' = '.join(same.images)}: {', '.join(same.labels)}" for same in leaked.conflicting[:3])
        cautions.append(f"{len(leaked.conflicting)} sets of identical files have contradicting labels: {first}")
    return cautions


def _summary(table: DataTable, leaked: leaks.Leaks, cautions: Sequence[str]) -> DataSummary:
    splits = Splits(*(_split_summary(table, name) for name in SPLITS))
    return DataSummary(
        source=table.source,
        images=len(table.records),
        classes={label: sum(split.classes[label] for _, split in splits) for label in table.classes},
        has_groups=table.has_groups,
        splits=splits,
        leaks=leaked,
        warnings=tuple(cautions),
        samples=tuple(_samples(table)),
    )


def _split_summary(table: DataTable, name: Split) -> SplitSummary:
    counts = dict.fromkeys(table.classes, 0)
    for record in table.of(name):
        counts[record.label] += 1
    return SplitSummary(images=len(table.rows(name)), groups=len(set(table.groups(name))), classes=counts)


def _samples(table: DataTable) -> Iterator[Sample]:
    """Evenly spaced training pictures of each class, by their row."""
    rows = table.rows("train")
    labels = table.labels("train")
    for number, label in enumerate(table.classes):
        own = rows[labels == number]
        step = max(1, len(own) // _SAMPLES_PER_CLASS)
        for row in own[::step][:_SAMPLES_PER_CLASS]:
            yield Sample(row=int(row), label=label, image=table.records[row].image)


STAGE = Stage(
    name="data", version=7, needs=(SOURCE,), settings=_settings, tools=("numpy", "pillow"), run=_run, files=excluded
)
