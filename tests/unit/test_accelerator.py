"""Where a training runs: each process has its share, and a precision that is not there is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgetl.errors import EnvironmentFault, UsageError
from edgetl.training import accelerator as module
from edgetl.training.accelerator import make_accelerator, processes_of
from edgetl.training.distributed import Processes


class _Machine:
    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes = index, count


@pytest.mark.parametrize(
    ("count", "batch", "validation", "allowed"),
    [
        (1, 1, 0, True),
        (2, 4, 2, True),
        (2, 3, 2, False),
        (2, 4, 1, False),
        (4, 8, 4, True),
        (4, 7, 4, False),
        (4, 8, 3, False),
    ],
)
def test_each_process_has_two_images_of_a_batch_and_one_to_validate_on(
    count: int, batch: int, validation: int, allowed: bool
) -> None:
    machine: Any = _Machine(count - 1, count)
    if allowed:
        assert processes_of(machine, batch, validation) == Processes(count - 1, count)
        return
    with pytest.raises(UsageError, match=f"got {count} processes for batches of {batch} images and {validation} "):
        processes_of(machine, batch, validation)


@pytest.mark.parametrize(("precision", "mixed"), [("fp32", "no"), ("bf16", "bf16")])
def test_each_accelerator_has_its_own_precision(precision: str, mixed: str) -> None:
    accelerator = make_accelerator(precision)
    assert accelerator.mixed_precision == mixed
    assert accelerator.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there fp16 works")
def test_fp16_without_a_gpu_is_refused_rather_than_computed_in_fp32() -> None:
    with pytest.raises(EnvironmentFault, match="fp16 needs a GPU"):
        make_accelerator("fp16")


def test_what_accelerate_refuses_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(**options: Any) -> None:
        raise ValueError("bf16 needs something else")

    monkeypatch.setattr(module, "Accelerator", refusing)
    with pytest.raises(EnvironmentFault, match="precision bf16 does not work here: bf16 needs something else"):
        make_accelerator("bf16")


@pytest.mark.parametrize("gpu", [True, False])
def test_another_accelerator_than_a_gpu_of_cuda_is_not_taken(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(module, "Accelerator", lambda **options: asked.append(options))
    make_accelerator("fp32")
    assert asked == [{"mixed_precision": "no", "cpu": not gpu}]
