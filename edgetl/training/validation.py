"""The validation images through a network, by all processes that train it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgetl.training.batches import TrainingData
from edgetl.training.diagnostics import naming_memory
from edgetl.training.distributed import Processes
from edgetl.training.inference import predict_logits


def validation_logits(
    network: nn.Module, data: TrainingData, processes: Processes, label: str, epoch: int
) -> NDArray[np.float32]:
    """Logits on the validation images, float32 [V, C], the same in each process; each computes its share.

    Raises EnvironmentFault where one of them runs out of memory.
    """
    height, width = data.images.shape[1:3]
    doing = f"the validation of epoch {epoch}, on images of {height} x {width} pixels"
    with processes.together(), naming_memory(label, lambda: doing):
        ours = predict_logits(network, data.images, rows=data.val[processes.index :: processes.count])
    logits = np.empty((len(data.val), ours.shape[1]), dtype=np.float32)
    for index, part in enumerate(processes.gathered(ours)):
        logits[index :: processes.count] = part
    return logits
