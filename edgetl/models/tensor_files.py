"""The tensors of a weights file by their names: .safetensors, or .pth and .pt, in which no code runs."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from edgetl.errors import IntegrityError, UsageError
from edgetl.errors.wording import first_line

__all__ = ["read"]

_AVERAGES = "n_averaged"  # torch's moving average of weights counts its steps
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
_MOST_BYTES = 8 * 2**30


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; a .pth may nest them under the usual keys, and have DataParallel's prefix."""
    try:
        if path.suffix not in {".safetensors", ".pth", ".pt"}:
            raise UsageError(f"weights: got a {path.suffix or 'nameless'} file, expected .safetensors, .pth or .pt")
        if (size := _unpacked(path)) > _MOST_BYTES:
            raise UsageError(
                f"weights: {path.name} holds {size / 2**30:.0f} GB, at most {_MOST_BYTES / 2**30:.0f} are read"
            )
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        # Trainers keep their command line beside the tensors; a namespace of plain values does nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as exc:
        raise IntegrityError(f"cannot be read as tensors ({first_line(exc)[:120]})", place=path.name) from exc
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise IntegrityError("holds no mapping of names to tensors", place=path.name)
    tensors = {str(name).removeprefix("module."): tensor for name, tensor in content.items() if name != _AVERAGES}
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise IntegrityError("holds no mapping of names to tensors", place=path.name)
    return tensors


def _unpacked(path: Path) -> int:
    """Bytes that a file takes in memory, at least: what is packed in it says so."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())
