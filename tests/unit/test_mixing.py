"""Blended batches: labels say what the images show, and a batch is blended the same way whenever it is made again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgetl.config.training import Training
from edgetl.training.mixing import mixed  # before torchvision, which it makes importable

from torchvision.transforms import v2  # isort: skip

_CLASSES = 3


def _batch(size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images whose channel c is 1 everywhere when the label is c, and 0 otherwise."""
    labels = torch.randint(_CLASSES, (size,), generator=torch.Generator().manual_seed(seed))
    planes = torch.nn.functional.one_hot(labels, _CLASSES).float()[:, :, None, None].expand(-1, -1, 16, 16)
    return planes.contiguous(memory_format=torch.channels_last), labels


@settings(deadline=None, max_examples=40)
@example(size=2, alphas=(1e-300, 0.0), numbers=(0, 1, 0))
@given(
    size=st.integers(2, 9),
    alphas=st.tuples(st.floats(0, 10), st.floats(0, 10)).filter(lambda pair: max(pair) > 0),
    numbers=st.tuples(st.integers(0, 2**31 - 1), st.integers(1, 1000), st.integers(0, 10**6)),
)
def test_labels_are_the_shares_of_the_images(
    size: int, alphas: tuple[float, float], numbers: tuple[int, int, int]
) -> None:
    images, labels = _batch(size, numbers[0])
    blended, shares = mixed(images, labels, _CLASSES, Training(mixup=alphas[0], cutmix=alphas[1]), *numbers)
    assert blended.shape == images.shape
    assert blended.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(blended.mean((2, 3)), shares, atol=1e-5, rtol=0)
    torch.testing.assert_close(shares.sum(1), torch.ones(size))


def test_a_batch_is_blended_by_its_numbers_and_not_by_the_generator_it_finds() -> None:
    images, labels = _batch(6)
    wanted = Training(mixup=1.0, cutmix=1.0)
    torch.manual_seed(1)
    first = mixed(images, labels, _CLASSES, wanted, 7, 3, 11)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1)), "whoever draws next must not notice"
    again = mixed(images, labels, _CLASSES, wanted, 7, 3, 11)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    others = [mixed(images, labels, _CLASSES, wanted, *numbers) for numbers in ((8, 3, 11), (7, 4, 11), (7, 3, 12))]
    assert not any(torch.equal(first[1], shares) for _, shares in others)


def test_with_both_a_batch_draws_one_of_them() -> None:
    images, labels = _batch(8)
    blended = [mixed(images, labels, _CLASSES, Training(mixup=1.0, cutmix=1.0), 0, 1, i)[0] for i in range(60)]
    pasted = sum(bool(((batch == 0) | (batch == 1)).all()) for batch in blended)
    assert 15 < pasted < 45


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize(("kind", "pasted"), [("mixup", False), ("cutmix", True)])
def test_each_is_what_it_is_called(kind: str, pasted: bool, index: int) -> None:
    images, labels = _batch(8)
    blended, _ = mixed(images, labels, _CLASSES, Training.model_validate({kind: 1.0}), 0, 1, index)
    assert bool(((blended == 0) | (blended == 1)).all()) is pasted


@pytest.mark.parametrize("alpha", [1e-5, 0.2, 1.0, 8.0])
def test_the_share_is_drawn_from_a_beta_distribution(alpha: float) -> None:
    """Its variance is 1 / (4 (2 alpha + 1)), its mean a half."""
    images, labels = torch.zeros(2, 3, 1, 1), torch.tensor([0, 1])
    rows = [mixed(images, labels, 2, Training(mixup=alpha), 0, 1, index)[1][0, 0].item() for index in range(400)]
    assert np.mean(rows) == pytest.approx(0.5, abs=0.08)
    assert np.var(rows) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.2)


@pytest.mark.parametrize(("kind", "blend"), [("mixup", v2.MixUp), ("cutmix", v2.CutMix)])
def test_a_batch_is_blended_as_it_always_was(kind: str, blend: type) -> None:
    """A release that draws otherwise would make another network of the same recipe."""
    images, labels = _batch(6)
    ours = mixed(images, labels, _CLASSES, Training.model_validate({kind: 0.7}), 7, 3, 11)
    torch.manual_seed(int(np.random.SeedSequence((7, 3, 11, 1)).generate_state(1)[0]))
    theirs = v2.RandomChoice([blend(alpha=0.7, num_classes=_CLASSES)])(images, labels)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_without_either_the_batch_stays() -> None:
    images, labels = _batch(4)
    assert mixed(images, labels, _CLASSES, Training(), 0, 1, 0) == (images, labels)
