"""Where a training runs, by Hugging Face accelerate: device, mixed precision, and how many processes take part."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from edgetl.errors import EnvironmentFault, UsageError
from edgetl.training.distributed import Processes


def make_accelerator(precision: str) -> Accelerator:
    """A fresh accelerator; accelerate keeps the precision of the first one in a global state, which is cleared."""
    AcceleratorState._reset_state()
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(False) else "fp32"
    wanted = "no" if precision == "fp32" else precision
    try:
        # Where nothing is said accelerate takes what else it finds (Apple's GPU), whose random numbers we do not seed.
        accelerator = Accelerator(mixed_precision=wanted, cpu=not torch.cuda.is_available())
    except ValueError as exc:
        raise EnvironmentFault(f"precision {precision} does not work here: {exc}", hint="set precision: fp32") from exc
    if precision == "fp16" and accelerator.scaler is None:  # accelerate computes in fp32 then, and says nothing
        raise EnvironmentFault("precision fp16 needs a GPU, and there is none", hint="set precision: fp32, or bf16")
    return accelerator


def autocast_of(accelerator: Accelerator) -> torch.dtype | None:
    """What forward passes are computed in; None for float32."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision)


def processes_of(accelerator: Accelerator, batch_size: int, validation: int) -> Processes:
    """The processes that train together; each needs two images of a batch (for BatchNorm) and one to validate on."""
    processes = Processes(accelerator.process_index, accelerator.num_processes)
    if processes.count > 1 and min(batch_size // 2, validation) < processes.count:
        raise UsageError(
            f"got {processes.count} processes for batches of {batch_size} images and {validation} validation images, "
            "expected at least 2 images of a batch and 1 of validation for each",
            hint="start fewer processes, or raise batch_size",
        )
    return processes
