"""Checkpoints that others have downloaded already: torch's and Hugging Face's caches, by the names of the files alone.

Nothing is opened and nothing is imported: what a file is called says which network it is, and a build finds out whether it
fits. Looking ends after a second and some dozens of files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import time
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from edgetl.doctor.finding import Finding
from edgetl.models.torchvision_names import TORCHVISION

__all__ = ["findings"]

_SECONDS = 1.0
_MOST = 40
_ENDINGS = (".pth", ".pt", ".safetensors")
_HUB_FILE = "model.safetensors"
_REPOSITORY = "models--timm--"


def findings() -> Iterator[Finding]:
    """A finding for each checkpoint, with the line of a recipe that starts from it."""
    until = time.monotonic() + _SECONDS
    found = list(islice(_all(until), _MOST + 1))
    if not found:
        yield Finding("checkpoints", "caches", "absent", f"none in {_torch_folder()} or {_hub_folder()}")
    yield from found[:_MOST]
    if len(found) > _MOST or time.monotonic() > until:
        yield Finding("checkpoints", "more", "absent", "not looked at: these are the first")


def _all(until: float) -> Iterator[Finding]:
    for entry in _entries(_torch_folder()):
        if time.monotonic() > until:
            return
        if entry.name.endswith(_ENDINGS) and (size := _size(Path(entry.path))) is not None:
            yield _of_torch(Path(entry.path), size)
    for entry in _entries(_hub_folder()):
        if time.monotonic() > until:
            return
        if entry.name.startswith(_REPOSITORY) and (size := _hub_size(Path(entry.path))) is not None:
            backbone = entry.name.removeprefix(_REPOSITORY)
            detail = f"{size}, in the hub's cache; student: {{backbone: {backbone}, weights: hub}}"
            yield Finding("checkpoints", backbone, "ok", detail)


def _of_torch(path: Path, size: str) -> Finding:
    backbone = looks_like(path.name)
    if backbone is None:
        return Finding("checkpoints", path.name, "absent", f"{size}; no backbone has such a name")
    detail = f"{size}, looks like {backbone}; student: {{backbone: {backbone}, weights: {_yaml(path)}}}"
    return Finding("checkpoints", path.name, "ok", detail)


def _yaml(path: Path) -> str:
    return str(path) if re.fullmatch(r"[\w./+-]+", str(path)) else json.dumps(str(path))


def looks_like(file: str) -> str | None:
    """timm's name of the network that a file is named after (`mobilenet_v3_large-5c1a4163.pth`, `resnet50_a1-14fe96d1.pth`)."""
    stem = re.sub(r"(-[0-9a-f]{6,})?\.\w+$", "", file).replace(".", "_")
    timms = {theirs: own for own, theirs in TORCHVISION.items()}
    if stem in timms:
        return timms[stem]
    names = {name: name for name in _timm_names()} | timms
    parts = stem.split("_")
    for length in range(len(parts), 0, -1):
        if (name := "_".join(parts[:length])) in names:
            return names[name]
    return None


@cache
def _timm_names() -> frozenset[str]:
    """Names of timm's networks, from its source: importing it takes seconds, and may not succeed."""
    spec = importlib.util.find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    names: set[str] = set()
    for file in sorted((Path(spec.submodule_search_locations[0]) / "models").glob("*.py")):
        text = file.read_text(encoding="utf-8", errors="replace")
        names.update(re.findall(r"^@register_model\s+def (\w+)\(", text, re.MULTILINE))
    return frozenset(names)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, 10 * _MOST), key=lambda entry: entry.name)
    except OSError:
        return []


def _hub_size(repository: Path) -> str | None:
    for snapshot in _entries(repository / "snapshots"):
        if size := _size(Path(snapshot.path) / _HUB_FILE):
            return size
    return None


def _size(path: Path) -> str | None:
    try:
        return f"{path.stat().st_size / 1e6:.0f} MB" if path.is_file() else None
    except OSError:
        return None


def _torch_folder() -> Path:
    home = os.environ.get("TORCH_HOME")
    return (Path(home) if home else _cache() / "torch") / "hub" / "checkpoints"


def _hub_folder() -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(name):
            return Path(folder)
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else _cache() / "huggingface") / "hub"


def _cache() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME")
    return Path(folder) if folder else Path("~").expanduser() / ".cache"
