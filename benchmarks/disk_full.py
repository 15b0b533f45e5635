"""A disk that is full at 20 different moments of one build: one message, exit code 3, no bad result, and on it goes.

    python -m benchmarks.disk_full [--moments 20]

Needs the right to mount (root): store, run folder and temporary files are on a tmpfs that is made a little larger after each
failure. So each run takes up what the one before left on the full disk, and fails at a later moment: inside a stage, while a
run folder is written, between the two. After each failure `edgetl cache verify` reads the whole store. At last there is room,
and the artefacts must be those of a build that never lacked any.
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

from benchmarks.provenance import provenance
from benchmarks.tiny_build import TinyBuild, artefacts, events, messages

RESULT = Path(__file__).parent / "results" / "disk_full.json"
FORMATS = ("onnx", "openvino", "tflite")
_ROOM = 1 << 30
_FIRST = 256 << 10


def main() -> None:
    """Fill the disk, moment after moment; the result is written after each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=20)
    arguments = parser.parse_args()
    about = provenance("benchmarks.disk_full")
    with tempfile.TemporaryDirectory(prefix="edgetl-full-") as folder, _disk(Path(folder)) as disk:
        expected, needed = _with_room(disk)
        step = (needed - _FIRST) // arguments.moments
        moments: list[dict[str, Any]] = []
        tiny = _build_on(disk)
        size = _FIRST
        while True:
            _resize(disk, size)
            moment = _moment(tiny, size)
            if moment["exit_code"] == 0:
                break
            moments.append(moment)
            print(json.dumps(moment), flush=True)
            _write({**about, "peak_bytes": needed, "moments": moments, "finished": False})
            # What a failed stage wrote is gone again: the next moment is a step after where this one gave up.
            size = size + step if size < needed else size + 4 * step
        finished = {"exit_code": moment["exit_code"], "damaged": moment["damaged"]}
        finished["same_artefacts"] = artefacts(tiny.run) == expected
        _write({**about, "peak_bytes": needed, "moments": moments, "finished": finished})
    print(RESULT)


def _with_room(disk: Path) -> tuple[dict[str, str], int]:
    """What a build without trouble delivers, and the bytes it leaves on the disk."""
    tiny = _build_on(disk)
    code, said = tiny.build()
    if code != 0:
        raise SystemExit(said)
    found, used = artefacts(tiny.run), shutil.disk_usage(disk).used
    shutil.rmtree(tiny.folder)
    return found, used


def _build_on(disk: Path) -> TinyBuild:
    temporary = disk / "tmp"
    temporary.mkdir(exist_ok=True)
    return TinyBuild(disk / "project", formats=FORMATS, environment={"TMPDIR": str(temporary)})


def _moment(tiny: TinyBuild, size: int) -> dict[str, Any]:
    code, said = tiny.build()
    stages = [event["name"] for event in events(tiny.run) if event["event"] == "stage"]
    return {
        "bytes": size,
        "exit_code": code,
        "messages": [message.replace(str(tiny.folder), "PROJECT") for message in messages(said)],
        "traceback": "Traceback" in said,
        "stage": stages[-1] if stages else None,
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
        "stages": sorted({str(one["stage"]) for one in moments}),
    }
    RESULT.write_text(json.dumps({**document, "summary": summary}, indent=1) + "\n", encoding="utf-8")


def render(result: dict[str, Any]) -> str:
    """The section for docs/results.md."""
    summary, finished = result["summary"], result["finished"]
    end = "the last run had room, finished, and delivered the same files as a build that never lacked any"
    if not finished or not finished["same_artefacts"]:
        end = "the last run did NOT deliver the files of a build with room"
    return (
        f"A disk that was full at {summary['moments']} moments of a build: {summary['exit_code_3']} ended with exit code 3, "
        f"{summary['one_message']} with one message and no traceback; {summary['damaged_entries']} stored results were "
        f"damaged and {summary['half_written']} half-written ones left behind; {end}.\n"
    )


if __name__ == "__main__":
    main()
