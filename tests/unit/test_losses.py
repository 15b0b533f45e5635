"""Losses: what they must ignore, what they must see, and who wrote the numbers down before."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from edgetl.errors import DataError
from edgetl.tasks import classify
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.losses.dist import dist
from edgetl.training.losses.dkd import dkd
from edgetl.training.losses.kd import kd, kd_standardized


def _logits(seed: int, rows: int = 16, classes: int = 5) -> torch.Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed)) * 3


_LABELS = torch.arange(16) % 5


@pytest.mark.parametrize("name", sorted(DISTIL_LOSSES))
@given(seed=st.integers(0, 1000), temperature=st.floats(0.5, 8.0))
@settings(max_examples=25, deadline=None)
def test_a_student_that_agrees_costs_nothing_and_another_something(name: str, seed: int, temperature: float) -> None:
    loss = DISTIL_LOSSES[name].function()
    teacher = _logits(seed)
    assert loss(teacher, teacher, temperature, _LABELS).item() == pytest.approx(0.0, abs=1e-4)
    assert loss(_logits(seed + 5000), teacher, temperature, _LABELS).item() > 1e-3


@pytest.mark.parametrize("name", sorted(DISTIL_LOSSES))
def test_following_the_gradient_leads_to_the_teacher(name: str) -> None:
    loss, teacher = DISTIL_LOSSES[name].function(), _logits(1)
    student = _logits(2).requires_grad_()
    optimizer = torch.optim.Adam([student], lr=0.1)
    first = loss(student, teacher, 2.0, _LABELS).item()
    for _ in range(200):
        optimizer.zero_grad()
        loss(student, teacher, 2.0, _LABELS).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss(student, teacher, 2.0, _LABELS).item() < 0.05 * first


@pytest.mark.parametrize("name", sorted(DISTIL_LOSSES))
def test_confident_and_constant_outputs_give_finite_gradients(name: str) -> None:
    extreme = torch.tensor([[60.0, -60.0, 0.0], [0.0, 0.0, 0.0]])
    student = torch.zeros(2, 3, requires_grad=True)
    DISTIL_LOSSES[name].function()(student, extreme, 1.0, torch.tensor([1, 2])).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_kd_is_the_divergence_of_hinton() -> None:
    teacher, student, temperature = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]]), 2.0
    p = 1 / (1 + math.exp(-1.0))
    expected = temperature**2 * (p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5))
    assert kd(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_standardized_kd_ignores_shift_and_size_of_the_logits() -> None:
    teacher = _logits(3)
    assert kd_standardized(teacher * 0.3 + 4.0, teacher, 2.0).item() == pytest.approx(0.0, abs=1e-5)
    assert kd(teacher * 0.3 + 4.0, teacher, 2.0).item() > 0.1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_standardized_kd_is_kd_of_z_scores(temperature: float) -> None:
    student, teacher = _logits(6), _logits(7)
    scores = [(x - x.mean(1, keepdim=True)) / x.std(1, correction=1, keepdim=True) for x in (student, teacher)]
    p, q = (torch.softmax(x / temperature, 1) for x in reversed(scores))
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(kd_standardized(student, teacher, temperature), expected)


def _dkd_by_hand(student: torch.Tensor, teacher: torch.Tensor, temperature: float, labels: list[int]) -> float:
    """Equations 5 to 7 of the paper, image by image, in numpy."""
    p, q = (torch.softmax(x / temperature, 1).double().numpy() for x in (teacher, student))
    total = 0.0
    for row, own in enumerate(labels):
        others = [k for k in range(p.shape[1]) if k != own]
        sure = [(p[row, own], q[row, own]), (1 - p[row, own], 1 - q[row, own])]
        among = [(p[row, k] / (1 - p[row, own]), q[row, k] / (1 - q[row, own])) for k in others]
        total += sum(a * math.log(a / b) for a, b in sure) + 2.0 * sum(a * math.log(a / b) for a, b in among)
    return temperature**2 * total / len(labels)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_dkd_is_that_of_zhao_with_weights_one_and_two(classes: int, temperature: float) -> None:
    student, teacher, labels = _logits(8, classes=classes), _logits(9, classes=classes), torch.arange(16) % classes
    expected = _dkd_by_hand(student.double(), teacher.double(), temperature, labels.tolist())
    assert dkd(student, teacher, temperature, labels).item() == pytest.approx(expected, rel=1e-4)


def test_of_two_classes_standardized_kd_has_nothing_to_say() -> None:
    student = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    kd_standardized(student, torch.randn(8, 2, dtype=torch.float64), 2.0).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert float(student.grad.abs().max()) < 1e-4


def test_dkd_with_the_teachers_own_doubt_as_weight_is_kd() -> None:
    """KD = binary term + (1 - p of the label) * term among the others: equation 7, of one image."""
    student, teacher = _logits(8, rows=1), _logits(9, rows=1)
    others = torch.tensor([[False, True, True, True, True]])
    among = kd(student[others][None], teacher[others][None], 2.0)
    binary = dkd(student, teacher, 2.0, torch.tensor([0])) - 2.0 * among
    doubt = 1 - torch.softmax(teacher / 2.0, 1)[0, 0]
    torch.testing.assert_close(binary + doubt * among, kd(student, teacher, 2.0))


def test_of_blended_labels_dkd_takes_the_largest_share() -> None:
    student, teacher = _logits(8), _logits(9)
    shares = 0.7 * torch.eye(5)[_LABELS] + 0.3 * torch.eye(5)[_LABELS.roll(1)]
    assert dkd(student, teacher, 2.0, shares).item() == dkd(student, teacher, 2.0, _LABELS).item()
    first = torch.full((16, 5), 0.2)
    assert dkd(student, teacher, 2.0, first).item() == dkd(student, teacher, 2.0, torch.zeros(16).long()).item()


@pytest.mark.parametrize("name", sorted(DISTIL_LOSSES))
def test_the_gradient_is_that_of_the_loss(name: str) -> None:
    loss, teacher, labels = DISTIL_LOSSES[name].function(), _logits(11, rows=4).double(), _LABELS[:4]
    student = _logits(10, rows=4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: loss(logits, teacher, 1.5, labels), student)


def test_dkd_of_a_teacher_that_is_certain_is_exact() -> None:
    """Probabilities round to 0 and 1 here, their logarithms do not: 200 apart, the label at rank one of the student."""
    teacher, student = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 1.0]]).requires_grad_()
    loss = dkd(student, teacher, 1.0, torch.tensor([0]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(math.log(1 + 2 * math.e), rel=1e-6)
    assert student.grad is not None
    p = math.e / (1 + 2 * math.e)
    torch.testing.assert_close(student.grad, torch.tensor([[-2 * p, p, p]]))


def test_dist_is_one_minus_pearson_within_images_and_within_classes() -> None:
    a, b = _logits(4), _logits(5)
    p, q = torch.softmax(a / 4, 1).numpy(), torch.softmax(b / 4, 1).numpy()
    inter = 1 - np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(p, q, strict=True)])
    intra = 1 - np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(p.T, q.T, strict=True)])
    assert dist(a, b, 4.0).item() == pytest.approx(16 * (inter + intra), rel=1e-4)


def test_logit_adjustment_makes_the_frequency_free() -> None:
    """With logits of 0 the adjusted model says the class frequencies: the loss is their cross entropy, at a minimum."""
    counts = [90, 10]
    labels = torch.tensor([0] * 90 + [1] * 10)
    loss = classify.label_loss("logit_adjust", counts)
    logits = torch.zeros(100, 2, requires_grad=True)
    value = loss(logits, labels)
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == pytest.approx(-(0.9 * math.log(0.9) + 0.1 * math.log(0.1)), rel=1e-5)
    assert logits.grad is not None
    assert torch.allclose(logits.grad.sum(dim=0), torch.zeros(2), atol=1e-6)


def test_class_weights_make_rare_classes_count_as_much() -> None:
    labels = torch.tensor([0] * 9 + [1])
    logits = torch.zeros(10, 2, requires_grad=True)
    classify.label_loss("weights", [9, 1])(logits, labels).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.allclose(logits.grad.sum(dim=0), torch.zeros(2), atol=1e-6)


def test_a_class_without_training_images_is_an_error() -> None:
    with pytest.raises(DataError, match=r"classes \[1\]"):
        classify.label_loss("logit_adjust", [3, 0, 2])


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_validation_scores_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), generator.integers(0, 4, 60)])
    logits = generator.normal(size=(64, 4)).round(1).astype(np.float32)
    logits[:8] = 0.5  # ties
    scores = classify.validation_scores(logits, labels)
    probabilities = torch.softmax(torch.from_numpy(logits).double(), 1).numpy()
    areas = [roc_auc_score(labels == k, probabilities[:, k]) for k in range(4)]
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, logits.argmax(1)))
    assert scores["auroc"] == pytest.approx(np.mean(areas))
