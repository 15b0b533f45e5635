"""Blended batches: labels say what the images show, and a batch is blended the same way whenever it is made again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgetl.config.recipe import Training
from edgetl.training.mixing import mixed

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


@pytest.mark.parametrize(("kind", "pasted"), [("mixup", False), ("cutmix", True)])
def test_each_is_what_it_is_called(kind: str, pasted: bool) -> None:
    images, labels = _batch(8)
    blended, _ = mixed(images, labels, _CLASSES, Training.model_validate({kind: 1.0}), 0, 1, 0)
    assert bool(((blended == 0) | (blended == 1)).all()) is pasted


def test_without_either_the_batch_stays() -> None:
    images, labels = _batch(4)
    assert mixed(images, labels, _CLASSES, Training(), 0, 1, 0) == (images, labels)
