"""Logits over the image cache: row by row what the network says, however they are batched and shared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgetl.training.batches import TrainingData, as_input
from edgetl.training.distributed import Processes
from edgetl.training.inference import predict_logits
from edgetl.training.validation import validation_logits

_IMAGES = np.random.default_rng(0).integers(0, 256, (11, 4, 4, 3), dtype=np.uint8)


class _Counting(nn.Module):
    """A network that keeps the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 3))
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        logits: Tensor = self.layers(images)
        return logits


def _expected(network: nn.Module) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    with torch.no_grad():
        logits = network.eval()(as_input(_IMAGES)).numpy()
    network.train()
    return np.asarray(logits)


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 11), (4, [4, 4, 3]), (11, [11]), (128, [11])])
def test_batches_hold_as_many_images_as_wanted(size: int, sizes: list[int]) -> None:
    network = _Counting().train()
    expected = _expected(network)
    network.sizes.clear()
    network.layers[1].eval()
    logits = predict_logits(network, _IMAGES, size)
    assert network.sizes == sizes
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert logits.dtype == np.float32
    assert [module.training for module in network.modules()] == [True, True, True, False, True], "as it was found"


def test_rows_are_taken_in_their_order() -> None:
    network = _Counting()
    rows = np.array([7, 0, 7, 3])
    np.testing.assert_allclose(
        predict_logits(network, _IMAGES, 3, rows), _expected(network)[rows], rtol=1e-5, atol=1e-6
    )


def test_128_images_are_a_batch() -> None:
    network = _Counting()
    predict_logits(network, np.zeros((300, 4, 4, 3), np.uint8))
    assert network.sizes == [128, 128, 44]


def test_the_mode_comes_back_after_an_error() -> None:
    network = _Counting().train()
    with pytest.raises(RuntimeError):
        predict_logits(network, np.zeros((2, 5, 5, 3), np.uint8))
    assert all(module.training for module in network.modules())


def test_validation_images_are_shared_by_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    network, val = _Counting(), np.arange(3, 10)
    data = TrainingData(_IMAGES, np.arange(11) % 3, np.arange(3), val, 3)
    expected = _expected(network)[val]
    np.testing.assert_allclose(validation_logits(network, data, Processes(), "one", 1), expected, rtol=1e-5, atol=1e-6)

    def others(self: Processes, ours: object) -> list[object]:
        return [ours if index == self.index else expected[index :: self.count] for index in range(self.count)]

    monkeypatch.setattr(Processes, "gathered", others)
    monkeypatch.setattr(Processes, "mean", lambda self, values: values)
    for index in range(3):
        network.sizes.clear()
        logits = validation_logits(network, data, Processes(index, 3), "one", 1)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
        assert network.sizes == [len(val[index::3])], "each computes its share"
