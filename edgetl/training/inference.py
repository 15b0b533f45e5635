"""Logits of a PyTorch network over the uint8 image cache."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.training.batches import Pictures, as_input


def predict_logits(
    network: nn.Module,
    images: Pictures,
    batch_size: int = 128,
    rows: NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """Logits in float32 precision, without augmentation, on the device where the network is.

    Args:
        network: float [B, 3, H, W] in [-1, 1) -> logits [B, C]; its training mode is left as it was found.
        images: one batch of them is read at a time.
        batch_size: images per forward pass.
        rows: which images, in this order; None takes all.

    Returns:
        float32 [len(rows) or N, C].
    """
    chosen = np.arange(images.shape[0]) if rows is None else np.asarray(rows)
    device = next(network.parameters()).device
    modes = {module: module.training for module in network.modules()}
    network.eval()
    logits = []
    try:
        with torch.inference_mode():
            for start in range(0, len(chosen), batch_size):
                batch = as_input(images[chosen[start : start + batch_size]], device)
                logits.append(network(batch).float().cpu().numpy())
    finally:
        for module, mode in modes.items():
            module.training = mode
    return np.concatenate(logits)
