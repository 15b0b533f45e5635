"""The average of the weights by hand, and BatchNorm statistics that are those of the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgetl.training.ema import WeightAverage, recalibrate


def _single(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(value)
    return layer


def test_the_average_is_that_of_its_formula() -> None:
    """The decay is (1 + t) / (10 + t) until it reaches the wanted one."""
    network = _single(1.0)
    average, expected = WeightAverage(network, 0.3), 1.0
    for update, value in enumerate((5.0, -2.0, 3.0, 8.0, 1.0), 1):
        network.weight.data.fill_(value)
        average.update(network)
        decay = min(0.3, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
        assert average.network.weight.item() == pytest.approx(expected)  # type: ignore[operator]
        assert average.updates == update


def test_buffers_are_those_of_the_last_update_and_the_average_does_not_learn() -> None:
    network = nn.BatchNorm2d(2).train()
    average = WeightAverage(network, 0.9)
    network(torch.randn(8, 2, 3, 3))
    average.update(network)
    assert torch.equal(average.network.running_mean, network.running_mean)  # type: ignore[arg-type]
    assert average.network.num_batches_tracked.item() == 1  # type: ignore[operator]
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def _batches(count: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, 2, 4, 4, generator=generator) * (number + 1) for number in range(count)]


def test_recalibration_averages_the_statistics_of_the_batches_and_touches_nothing_else() -> None:
    """Dropout in front of the norm stays off, and the norm that tracks nothing keeps its mode."""
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(2), nn.BatchNorm2d(2, track_running_stats=False))
    network.train()
    network[0].eval()
    network[1].momentum = 0.2  # type: ignore[assignment]
    weights = {name: value.clone() for name, value in network.named_parameters()}
    network[1].running_mean.fill_(99.0)  # type: ignore[operator]
    recalibrate(network, _batches())
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in _batches()])
    spreads = torch.stack([batch.var((0, 2, 3)) for batch in _batches()])
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    torch.testing.assert_close(norm.running_var, spreads.mean(0))
    assert norm.momentum == 0.2
    assert [module.training for module in network] == [False, True, True]
    assert network.training
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())


def test_modes_and_momentum_come_back_after_an_error() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    with pytest.raises(RuntimeError):
        recalibrate(network, [torch.zeros(2, 5, 3, 3)])
    assert network[0].momentum == 0.1
    assert all(module.training for module in network.modules())


def test_a_network_without_batchnorm_sees_no_image() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    recalibrate(network, (np.empty(0)[0] for _ in range(1)))  # taking one would raise
