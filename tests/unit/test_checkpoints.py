"""Checkpoints come back as they were saved, whole or not at all, and only to the run they belong to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgetl.errors import EnvironmentFault, IntegrityError
from edgetl.training import checkpoints
from edgetl.training.checkpoints import Checkpoints, optimizer_tensors, restore_optimizer


def _tensors(value: float = 1.0) -> dict[str, Tensor]:
    return {"b": torch.full((2, 3), value), "a": torch.arange(4), "scalar": torch.tensor(value)}


def _equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path / "new" / "folder", "run")
    assert store.load() is None
    store.save(0, _tensors(), {"history": [], "updates": 7}, 0)
    snapshot = Checkpoints(tmp_path / "new" / "folder", "run").load()
    assert snapshot is not None
    assert _equal(snapshot.tensors, _tensors())
    assert snapshot.notes == {"history": [], "updates": 7}
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["last.safetensors"]


def test_another_run_does_not_take_it_up(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "run").save(0, _tensors(), {}, 0)
    assert Checkpoints(tmp_path, "another").load() is None


def test_the_best_network_stays_until_a_better_one_is_named(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, "run")
    store.save_best(1, _tensors(1.0))
    store.save(1, _tensors(), {}, 1)
    store.save_best(12, _tensors(12.0))
    assert sorted(path.name for path in tmp_path.glob("best*")) == ["best-0001.safetensors", "best-0012.safetensors"]
    store.save(12, _tensors(), {}, 12)
    assert [path.name for path in tmp_path.glob("best*")] == ["best-0012.safetensors"]
    assert _equal(store.load_best(12), _tensors(12.0))
    assert store.load() is not None


@pytest.mark.parametrize("name", ["last.safetensors", "best-0001.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "a bit", "nothing of it", "without its digest"])
def test_damage_is_found(tmp_path: Path, name: str, damage: str) -> None:
    from safetensors.torch import save_file

    store = Checkpoints(tmp_path, "run")
    store.save_best(1, _tensors())
    store.save(1, _tensors(), {}, 1)
    path = tmp_path / name
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "a bit":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "nothing of it":
        path.write_bytes(b"")
    else:
        save_file(_tensors(), path, metadata={"identity": "run", "best": "1", "notes": "{}"})
    with pytest.raises(IntegrityError, match="cannot be read") as caught:
        store.load()
    assert caught.value.place == name


def test_a_best_network_that_is_gone_is_damage(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, "run")
    store.save_best(1, _tensors())
    store.save(1, _tensors(), {}, 1)
    (tmp_path / "best-0001.safetensors").unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        store.load()


def test_names_belong_to_the_content(tmp_path: Path) -> None:
    assert checkpoints._digest({"a": torch.ones(2), "b": torch.zeros(2)}) != checkpoints._digest(
        {"b": torch.ones(2), "a": torch.zeros(2)}
    )
    assert checkpoints._digest(_tensors()) == checkpoints._digest(dict(reversed(_tensors().items())))


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Checkpoints(tmp_path, "run")
    store.save(0, _tensors(1.0), {}, 0)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match=r"cannot be written: .*No space left"):
        store.save(1, _tensors(2.0), {}, 0)
    snapshot = store.load()
    assert snapshot is not None
    assert _equal(snapshot.tensors, _tensors(1.0))
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def _trained(seed: int, steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Linear(12, 1))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups: list[dict[str, Any]] = [{"params": list(network[0].parameters()), "lr": 0.1}]
    groups.append({"params": list(network[2].parameters())})
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    for step in range(steps):
        network(torch.ones(1, 2, 3, 3) * step).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return network, optimizer


def test_an_optimizer_goes_on_where_it_was() -> None:
    (network, optimizer), (other, fresh) = _trained(0, 3), _trained(1, 0)
    other.load_state_dict(network.state_dict())
    tensors = {name: value.clone().contiguous() for name, value in optimizer_tensors(optimizer).items()}
    assert {name.partition(".")[2] for name in tensors} == {"step", "exp_avg", "exp_avg_sq"}
    assert {name.partition(".")[0] for name in tensors} == {"0", "1", "2", "3"}
    restore_optimizer(fresh, tensors)
    assert _equal(optimizer_tensors(fresh), optimizer_tensors(optimizer))
    first = next(other.parameters())
    assert fresh.state[first]["exp_avg"].stride() == first.stride(), "fused kernels rely on it"
    for module, of in ((network, optimizer), (other, fresh)):
        module(torch.ones(1, 2, 3, 3)).sum().backward()
        of.step()
    assert _equal(dict(network.state_dict()), dict(other.state_dict()))
