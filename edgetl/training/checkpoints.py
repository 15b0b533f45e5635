"""Checkpoints of one training run: safetensors and JSON, never pickle, never half written, and checked when they are read.

A folder holds `last.safetensors` (all that the next step needs, history included) and `best-EPOCH.safetensors` (the
network to keep). The best one is written first and the older ones are deleted last: `last` always finds the best that
its history names, wherever a kill falls. Random generators need no saving, since every step is seeded by its number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgetl.errors import EnvironmentFault, IntegrityError
from edgetl.files import replacing, sweep

_LAST = "last.safetensors"
_SHA256 = "sha256"


@dataclass(frozen=True)
class Snapshot:
    """tensors: by name, on the CPU; notes: JSON (history, counters)."""

    tensors: dict[str, Tensor]
    notes: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run in `folder`.

    identity: text that names the run (settings, seed, data); a checkpoint of another identity is not taken up.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> Snapshot | None:
        """The last state that was saved, or None when there is none or it belongs to another run.

        Raises:
            IntegrityError: the file, or the best network that goes with it, is damaged or gone.
        """
        path = self._folder / _LAST
        if not path.exists():
            return None
        tensors, header = _read(path)
        if header.get("identity") != self._identity:
            return None
        if best := int(header["best"]):
            _read(self._folder / _best(best))
        return Snapshot(tensors, json.loads(header["notes"]))

    def save(self, epoch: int, tensors: Mapping[str, Tensor], notes: Mapping[str, Any], best_epoch: int) -> None:
        """Keep the state in or after `epoch`; `best_epoch` names the network that `save_best` has kept, 0 none yet.

        Raises:
            EnvironmentFault: it cannot be written; the state that was saved before is still there.
        """
        header = {"identity": self._identity, "epoch": str(epoch), "best": str(best_epoch)}
        self._write(_LAST, tensors, header | {"notes": json.dumps(dict(notes))})
        for old in self._folder.glob("best-*.safetensors"):
            if old.name != _best(best_epoch):
                old.unlink()

    def save_best(self, epoch: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep the network of `epoch`; call before `save`."""
        self._write(_best(epoch), tensors, {"identity": self._identity})

    def load_best(self, epoch: int) -> dict[str, Tensor]:
        """The network of `epoch`."""
        return _read(self._folder / _best(epoch))[0]

    def _write(self, name: str, tensors: Mapping[str, Tensor], header: dict[str, str]) -> None:
        sweep(self._folder)  # here, not when opened: of several processes only the first one writes
        path = self._folder / name
        content = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        try:
            with replacing(path, sync=True) as aside:
                save_file(content, aside, metadata=header | {_SHA256: _digest(content)})
        except (OSError, SafetensorError) as exc:  # safetensors does not pass on the system's error, only its text
            raise EnvironmentFault(
                f"the checkpoint cannot be written: {exc}",
                place=str(path),
                hint="free some space and run the same command again; it goes on from the checkpoint before",
            ) from exc


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a file that `_write` wrote. Raises IntegrityError."""
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if header[_SHA256] != _digest(tensors):
            raise ValueError("its content is not what was written")
    except (SafetensorError, OSError, KeyError, ValueError) as exc:
        raise IntegrityError(
            f"the checkpoint cannot be read: {exc}", place=path.name, hint="build again with --fresh"
        ) from exc
    return tensors, header


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names and bytes: safetensors only notices a file that was cut."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _best(epoch: int) -> str:
    return f"best-{epoch:04d}.safetensors"


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as `INDEX.KEY` tensors, parameters counted over all groups."""
    states = optimizer.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, state in states.items() for key, value in state.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took out, in the memory layout of each parameter (fused kernels rely on it)."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        same = value.shape == parameter.shape and value.ndim > 0
        placed = torch.empty_like(parameter.detach()).copy_(value) if same else value
        states.setdefault(int(index), {})[key] = placed
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
