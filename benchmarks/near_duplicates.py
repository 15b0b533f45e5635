"""How many changed copies of a picture the near-duplicate search finds, and how many pairs it finds falsely.

Copies are made of a sample of pictures and compared with their original; false pairs are those among all pictures of a set
that show different lesions. The phantom's lesions are different by construction; HAM10000's by its lesion_id, which is not
free of errors. A last measurement is of time and memory on many synthetic thumbnails.

    python -m benchmarks.near_duplicates [--images 1400] [--sample 100] [--many 100000]

EDGETL_HAM10000 adds HAM10000. Writes benchmarks/results/near_duplicates.json.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.data import near_duplicates, phantom
from edgetl.data.records import Record, group_of
from edgetl.data.source import Source, open_source
from edgetl.runtime.decoding import decode

RESULT = Path(__file__).parent / "results" / "near_duplicates.json"
Pixels = npt.NDArray[np.uint8]


def copies(pixels: Pixels) -> Iterator[tuple[str, Image.Image]]:
    """Ways in which a picture comes into a data set a second time."""
    image = Image.fromarray(pixels)
    width, height = image.size
    for quality in (95, 75, 60):
        yield f"JPEG quality {quality}", _jpeg(image, quality)
    for scale in (0.75, 0.5):
        yield f"resized to {scale}", image.resize((int(width * scale), int(height * scale)), Image.Resampling.BICUBIC)
    yield "squeezed to 224x224", image.resize((224, 224), Image.Resampling.BILINEAR)
    for share in (0.01, 0.02, 0.05):
        yield f"{share:.0%} cropped, all around", _cropped(image, share, corner=False)
        yield f"{share:.0%} cropped, one corner", _cropped(image, share, corner=True)
    yield (
        "2% corner, half size, quality 60",
        _jpeg(_cropped(image, 0.02, corner=True).resize((width // 2, height // 2)), 60),
    )
    yield "mirrored", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    yield "a quarter turn", image.transpose(Image.Transpose.ROTATE_90)
    yield "2 degrees turned", image.rotate(2, Image.Resampling.BILINEAR)
    yield "gamma 0.8", Image.fromarray(np.rint(255 * (pixels / 255) ** 0.8).astype(np.uint8))
    yield "red +10 %, blue -10 %", Image.fromarray(np.clip(pixels * [1.1, 1.0, 0.9], 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _cropped(image: Image.Image, share: float, *, corner: bool) -> Image.Image:
    """Without `share` of each side: from the left and top, or half of it on either side."""
    width, height = image.size
    across, down = round(width * share), round(height * share)
    if corner:
        return image.crop((across, down, width, height))
    return image.crop((across // 2, down // 2, width - across + across // 2, height - down + down // 2))


def measure(source: Source, sample: int) -> dict[str, Any]:
    """Recall of each kind of copy, and the pairs among the set itself."""

    def small(record: Record) -> Pixels:
        return near_duplicates.thumbnail(decode(source.root / record.image))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        thumbnails = list(pool.map(small, source.records))
    began = time.perf_counter()
    pairs = near_duplicates.search(len(thumbnails), thumbnails.__getitem__)
    seconds = time.perf_counter() - began
    groups = [group_of(record) for record in source.records]
    between = [pair for pair in pairs if groups[pair.first] != groups[pair.second]]
    return {
        "images": len(thumbnails),
        "groups": len(set(groups)),
        "pairs": len(pairs),
        "pairs_between_groups": [
            [source.records[pair.first].image, source.records[pair.second].image, round(pair.correlation, 4)]
            for pair in between
        ],
        "seconds": round(seconds, 1),
        "sample": sample,
        "recall": _recall(source, thumbnails, sample),
    }


def _recall(source: Source, thumbnails: list[Pixels], sample: int) -> dict[str, float]:
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for index in np.random.default_rng(0).choice(len(thumbnails), min(sample, len(thumbnails)), replace=False):
        for name, copy in copies(decode(source.root / source.records[index].image)):
            both = [thumbnails[index], near_duplicates.thumbnail(np.asarray(copy))]
            found[name].append(bool(near_duplicates.search(2, both.__getitem__)))
    return {name: round(float(np.mean(ones)), 4) for name, ones in found.items()}


def many(count: int, alike: bool) -> dict[str, Any]:
    """Time and memory of a search among `count` smooth random pictures; `alike`: all of them of nearly one scene."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(count, 8, 8)).astype(np.float32)
    if alike:
        coarse = coarse[0] + np.float32(0.15) * coarse
    basis = (
        np.cos(np.arange(8)[:, None] * (np.arange(near_duplicates.SIDE) + 0.5) * np.pi / near_duplicates.SIDE)
        / (1 + np.arange(8))[:, None]
    )
    process = psutil.Process()
    held = [process.memory_info().rss]

    def look(index: int) -> Pixels:
        values = basis.T @ coarse[index] @ basis
        return np.asarray(np.clip(128 + 20 * values, 0, 255), dtype=np.uint8)

    began = time.perf_counter()
    pairs = near_duplicates.search(count, look, advance=lambda done, total: held.append(process.memory_info().rss))
    return {
        "images": count,
        "pairs": len(pairs),
        "seconds": round(time.perf_counter() - began, 1),
        "added_mb": round((max(held) - held[0]) / 1e6),
    }


def _alone(count: int, alike: bool) -> dict[str, Any]:
    """`many` in a process of its own, for the peak of the memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(many, count, alike).result()


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    sets = result["sets"]
    kinds = next(iter(sets.values()))["recall"]
    rows = [[kind, *(f"{100 * one['recall'][kind]:.0f} %" for one in sets.values())] for kind in kinds]
    said = [
        f"{name}: {one['images']} pictures of {one['groups']} lesions, {one['pairs']} near pairs, "
        f"{len(one['pairs_between_groups'])} of them between lesions, {one['seconds']:.0f} s."
        for name, one in sets.items()
    ]
    for kind, one in (("different", result["many"]), ("nearly equal", result["alike"])):
        said.append(
            f"{one['images']:,} synthetic pictures, all {kind}: {one['seconds']:.0f} s, {one['added_mb']} MB more memory."
        )
    head = "## Near duplicates\n"
    return "\n".join(
        [head, made_by(result), table(["copy that is found", *sets], rows), *(f"- {one}" for one in said), ""]
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1400, help="of the phantom")
    parser.add_argument("--sample", type=int, default=100, help="pictures that copies are made of")
    parser.add_argument("--many", type=int, default=100_000, help="synthetic pictures, no two alike")
    parser.add_argument("--alike", type=int, default=10_000, help="synthetic pictures, nearly equal")
    args = parser.parse_args()
    sets = {}
    with tempfile.TemporaryDirectory() as folder:
        phantom.render(Path(folder), args.images, 160, 0)
        sets["skin_phantom"] = measure(open_source("skin_phantom", Path(folder)), args.sample)
    if root := os.environ.get("EDGETL_HAM10000"):
        sets["HAM10000"] = measure(open_source("ham10000", Path(root)), args.sample)
    result = {**provenance("benchmarks.near_duplicates"), "sets": sets, "many": _alone(args.many, False)}
    result["alike"] = _alone(args.alike, True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


if __name__ == "__main__":
    main()
