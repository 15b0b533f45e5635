"""unlabelled: the pictures of data.unlabelled, decoded as the labelled ones, without those that validation or test show.

Result: `pixels.npy` (uint8 [n, H, W, 3]), and `unlabelled.json` (how many, and what was left out).
"""

from __future__ import annotations

from typing import Any

from edgetl.config.recipe import Recipe
from edgetl.stages.common import sources
from edgetl.stages.common.needs import DECODING_TOOLS, decoded, originals
from edgetl.stages.common.settings import preprocessing_after
from edgetl.stages.common.stage import UNLABELLED, Context, Stage


def _settings(recipe: Recipe) -> Any:
    return {"data": recipe.data.model_dump(mode="json", include={"image_size", "resize"})}


def _run(context: Context) -> None:
    import numpy as np  # at run time: listing the stages stays cheap

    from edgetl.data import originals as files
    from edgetl.data.fingerprint import Fingerprints
    from edgetl.data.images import PIXELS, cache, open_cache, open_images, write_rows
    from edgetl.data.records import Record
    from edgetl.data.table import DataTable
    from edgetl.data.unlabelled import seen_before
    from edgetl.errors import DataError
    from edgetl.results.unlabelled import Unlabelled

    data, whole = context.inputs["data"], context.scratch / PIXELS
    folder, images = sources.unlabelled(context.recipe.data)
    digests = Fingerprints(context.scratch / sources.INDEX).digest(folder, images)
    records = tuple(Record(image, "") for image in images)
    preprocessing = preprocessing_after(context.recipe.data, data)
    cache(DataTable((), records, "unlabelled", False), folder, preprocessing, whole, context.progress)
    decoded_images = open_cache(whole)
    held = DataTable.load(data, ("val", "test"))
    held_images, held_digests = open_images(data, held, ("val", "test")), files.read(data, "val", "test")
    rows = np.sort(np.concatenate([held.rows("val"), held.rows("test")]))
    gone = seen_before(
        {image: digests[image] for image in images},
        lambda number: np.asarray(decoded_images[number]),
        {held.record(int(row)).image: held_digests[held.record(int(row)).image] for row in rows},
        lambda number: held_images[int(rows[number])],
        lambda done, total: context.progress.advance("near duplicates of held out pictures", done, total),
    )
    kept = np.asarray([number for number, image in enumerate(images) if image not in gone], dtype=np.int64)
    if not len(kept):
        raise DataError("data.unlabelled: all of its pictures are of validation or test", place=str(folder))
    write_rows(decoded_images, kept, context.folder / PIXELS)
    whole.unlink()
    result = Unlabelled(len(kept), tuple(sorted(gone)))
    left = f"; {len(gone)} that validation or test show are left out" if gone else ""
    context.progress.say(f"unlabelled: {result.images} pictures{left}")
    result.write(context.folder)


STAGE = Stage(
    name="unlabelled",
    version=2,
    needs=(UNLABELLED, *dict.fromkeys((*decoded("val", "test"), *originals("val", "test")))),
    settings=_settings,
    tools=(*DECODING_TOOLS, "scipy"),
    run=_run,
    active=lambda recipe: recipe.data.unlabelled is not None,
)
