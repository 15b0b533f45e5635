"""A disk that is full at 21 different moments of a build: one message, exit code 3, no bad result, and on it goes.

    python -m benchmarks.disk_full

Needs the right to mount (root): store, run folder and temporary files are on a tmpfs. For each moment the build is first
brought to the stage before, with room; then the disk is shrunk to what is used and a share of what the stage is going to
write, and the build must fail. `edgetl cache verify` reads the whole store. The next moment goes on from what the failure
left. At last there is room, and the artefacts must be those of a build that never lacked any.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by
from benchmarks.provenance import provenance
from benchmarks.tiny_build import TinyBuild, artefacts, events, messages
from edgetl.store import Store
from edgetl.store.maintenance import items

RESULT = Path(__file__).parent / "results" / "disk_full.json"
MOMENTS: tuple[tuple[str, float], ...] = (
    *(("data", share) for share in (0.2, 4.0)),  # rendering the pictures takes more room than their pixels
    *(("teach", share) for share in (0.5, 2.5, 4.5)),  # the checkpoints of a training are larger than its result
    *(("trial", share) for share in (0.5, 2.5)),
    *(("distil", share) for share in (0.5, 2.5)),
    *(("prune", share) for share in (0.5, 2.5)),
    *(("evaluate", share) for share in (0.5,)),
    *(("export.onnx", share) for share in (0.3, 0.8)),
    *((f"export.{backend}", 0.6) for backend in ("openvino", "tflite")),
    *((f"quantize.{backend}", 0.5) for backend in ("onnx", "openvino", "tflite")),
    *(("calibrate.onnx", share) for share in (0.5,)),
    *(("verify.tflite", share) for share in (0.5,)),
    *(("report", share) for share in (0.2, 0.6)),
)
"""Stage, and the share of the bytes of its result that there is room for."""
_ROOM = 1 << 30
_AT_LEAST = 64 << 10


def main() -> None:
    """Fill the disk, moment after moment; the result is written after each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=len(MOMENTS), help="only the first ones, to try it")
    arguments = parser.parse_args()
    document: dict[str, Any] = {**provenance("benchmarks.disk_full"), "moments": [], "finished": None}
    with tempfile.TemporaryDirectory(prefix="edgetl-full-") as folder, _disk(Path(folder)) as disk:
        expected, sizes = _with_room(disk)
        tiny, stages = _build_on(disk), list(sizes)
        for stage, share in MOMENTS[: arguments.moments]:
            before = stages[stages.index(stage) - 1] if stage != stages[0] else None
            if before is not None and tiny.build("--until", before)[0] != 0:
                raise SystemExit(f"the build did not go on to {before}, with room")
            room = _AT_LEAST + int(share * sizes[stage])
            _resize(disk, shutil.disk_usage(disk).used + room)
            moment = {"stage": stage, "room_bytes": room, **_moment(tiny)}
            _resize(disk, _ROOM)
            document["moments"].append(moment)
            print(json.dumps(moment), flush=True)
            _write(document)
        code, said = tiny.build()
        document["finished"] = {"exit_code": code, "messages": messages(said), "damaged": len(tiny.damaged())}
        document["finished"]["same_artefacts"] = code == 0 and artefacts(tiny.run) == expected
        _write(document)
    print(RESULT)


def _with_room(disk: Path) -> tuple[dict[str, str], dict[str, int]]:
    """What a build without trouble delivers, and the bytes of each stage's result, in the build's order."""
    tiny = _build_on(disk)
    code, said = tiny.build()
    if code != 0:
        raise SystemExit(said)
    found = artefacts(tiny.run)
    sizes = {item.stage: item.size for item in sorted(items(Store(tiny.store)), key=lambda item: item.made)}
    order = [event["name"] for event in events(tiny.run) if event["event"] == "stage"]
    bundle = sum(path.stat().st_size for path in tiny.run.rglob("*") if path.is_file())
    shutil.rmtree(tiny.folder)
    return found, {**{stage: sizes[stage] for stage in order}, "report": bundle}


def _build_on(disk: Path) -> TinyBuild:
    temporary = disk / "tmp"
    temporary.mkdir(exist_ok=True)
    return TinyBuild(disk / "project", environment={"TMPDIR": str(temporary)})


def _moment(tiny: TinyBuild) -> dict[str, Any]:
    earlier = len(events(tiny.run))
    code, said = tiny.build()
    begun = [event["name"] for event in events(tiny.run)[earlier:] if event["event"] == "stage"]
    return {
        "exit_code": code,
        "messages": [message.replace(str(tiny.folder), "PROJECT") for message in messages(said)],
        "traceback": "Traceback" in said,
        "last_stage_in_log": begun[-1] if begun else None,
        "finished_stages": len(list(tiny.store.glob("entries/*"))),
        "damaged": len(tiny.damaged()) if tiny.store.is_dir() else 0,
        "left_aside": len(list(tiny.store.glob("aside/*"))),
        "half_run": (tiny.run / "bundle").exists() != (tiny.run / "report.json").exists(),
    }


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A tmpfs that can be resized."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", folder], check=False)
    if done.returncode != 0:
        raise SystemExit("this benchmark mounts a small disk, which needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def _write(document: dict[str, Any]) -> None:
    moments = document["moments"]
    summary = {
        "moments": len(moments),
        "exit_code_3": sum(one["exit_code"] == 3 for one in moments),
        "one_message": sum(len(one["messages"]) == 1 and not one["traceback"] for one in moments),
        "damaged_entries": sum(one["damaged"] for one in moments),
        "half_written": sum(one["left_aside"] + one["half_run"] for one in moments),
        "stages": sorted({one["stage"] for one in moments}),
    }
    RESULT.write_text(json.dumps({**document, "summary": summary}, indent=1) + "\n", encoding="utf-8")


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    summary, finished = result["summary"], result["finished"]
    end = "the last run had room, finished, and delivered the same files as a build that never lacked any"
    if not finished or not finished["same_artefacts"]:
        end = "the last run did NOT deliver the files of a build with room"
    return (
        "## A full disk\n\n"
        f"{made_by(result)}\n"
        f"A disk that was full at {summary['moments']} moments in {len(summary['stages'])} stages of a build: "
        f"{summary['exit_code_3']} ended with exit code 3, "
        f"{summary['one_message']} with one message and no traceback; {summary['damaged_entries']} stored results were "
        f"damaged and {summary['half_written']} half-written ones left behind; {end}.\n"
    )


if __name__ == "__main__":
    main()
