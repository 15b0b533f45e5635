"""Gates: rules that decide whether what was built may ship, each with the numbers that decided it.

A failed gate of severity "fail" ends the build with exit code 1; "warn" is shown loudly and lets the build pass.
What can end a build decides on the bound of a paired interval, not on the bare difference: three flipped images in a
small test split must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgetl.evidence.intervals import Interval
from edgetl.evidence.parity import Parity

__all__ = [
    "COLLAPSE",
    "FP32_AGREEMENT",
    "FP32_NOISE",
    "FP32_TOLERANCE",
    "Gate",
    "fp32_parity",
    "int8_collapse",
    "no_leaks",
    "quantization_drop",
    "student_vs_teacher",
]

Severity = Literal["fail", "warn"]

FP32_TOLERANCE = 1e-4
"""Largest difference of a probability between two fp32 runtimes; another order of sums gives 1e-6, bf16 gives 5e-2."""

FP32_NOISE = 1e-3
"""Up to here a difference can be a runtime's own arithmetic (MobileViT in OpenVINO: 2e-4 to 1e-3), if no class changes but
where the two most probable ones are closer together than this. A layer that is wrong changes both by far more."""

FP32_AGREEMENT = 0.999
"""Smallest share of images on which an fp32 artefact and its PyTorch network name the same class."""

COLLAPSE = 0.05
"""A loss of accuracy that no quantization should cost; see `int8_collapse`."""


@dataclass(frozen=True)
class Gate:
    """One decision.

    name: the rule; subject: the artefact or model it looked at.
    passed: whether the rule holds; severity: what it means when it doesn't.
    value, limit: the number that decided and what it was held against, in the same unit; None where there is no
        single number.
    message: one sentence with the numbers.
    """

    name: str
    subject: str
    passed: bool
    severity: Severity
    value: float | None
    limit: float | None
    message: str


def fp32_parity(
    subject: str, parity: Parity, tolerance: float = FP32_TOLERANCE, *, flip: float = 1.0, noise: float = FP32_NOISE
) -> Gate:
    """Fails when an fp32 artefact computes other probabilities than the network it was exported from; noise only warns.

    Args:
        flip: `evidence.parity.widest_flip` of the two; 0 where they name the same class on every image.
        noise: what a difference and a flip may be for the gate to warn.
    """
    passed = parity.max_abs_diff <= tolerance and parity.top1_agreement >= FP32_AGREEMENT
    noisy = not passed and parity.max_abs_diff <= noise and flip < noise
    reason = (
        f"; within {noise:.2g}, and the class changes "
        + (f"only where the two most probable ones are at most {flip:.2g} apart" if flip else "nowhere")
        + ": the runtime's own arithmetic, no fault"
    )
    return Gate(
        name="fp32_parity",
        subject=subject,
        passed=passed,
        severity="warn" if noisy else "fail",
        value=parity.max_abs_diff,
        limit=tolerance,
        message=(
            f"probabilities differ from the PyTorch network by at most {parity.max_abs_diff:.2g} "
            f"(limit {tolerance:.2g}), the same top class on {parity.top1_agreement:.2%} (at least {FP32_AGREEMENT:.1%})"
            + (reason if noisy else "")
        ),
    )


def int8_collapse(subject: str, difference: Interval, margin: float = COLLAPSE) -> Gate:
    """Fails when int8 is certainly broken: even the upper 95 % bound of its accuracy minus fp32's is below -margin.

    Args:
        difference: paired difference of accuracy, int8 minus the same backend's fp32.
        margin: positive.
    """
    return Gate(
        name="int8_collapse",
        subject=subject,
        passed=difference.high >= -margin,
        severity="fail",
        value=difference.high,
        limit=-margin,
        message=(
            f"accuracy against fp32 {_signed(difference)}; "
            f"broken when even the upper bound is below {-100 * margin:+.1f} points"
        ),
    )


def quantization_drop(subject: str, difference: Interval, max_drop: float) -> Gate:
    """Warns when int8 loses more balanced accuracy than the recipe's `quantize.max_drop`.

    Args:
        difference: paired difference of balanced accuracy, int8 minus the same backend's fp32.
        max_drop: positive.
    """
    return Gate(
        name="quantization_drop",
        subject=subject,
        passed=difference.value >= -max_drop,
        severity="warn",
        value=difference.value,
        limit=-max_drop,
        message=(
            f"balanced accuracy against fp32 {_signed(difference, digits=2)}; "
            f"the recipe allows a loss of {100 * max_drop:.2f} points"
        ),
    )


def student_vs_teacher(
    subject: str, difference: Interval, margin: float = COLLAPSE, *, teacher: str = "the teacher"
) -> Gate:
    """Warns when the student is certainly worse than its teacher by more than the margin: it is too small.

    Args:
        difference: paired difference of balanced accuracy, student minus teacher.
        teacher: what the message calls it.
    """
    return Gate(
        name="student_vs_teacher",
        subject=subject,
        passed=difference.high >= -margin,
        severity="warn",
        value=difference.high,
        limit=-margin,
        message=(
            f"balanced accuracy against {teacher} {_signed(difference)}; "
            f"too weak when even the upper bound is below {-100 * margin:+.1f} points"
        ),
    )


def no_leaks(groups: int, identical: int) -> Gate:
    """Fails when a group or a byte-identical file sits in two splits: every number after it would be optimistic.

    Args:
        groups: how many groups are in more than one split.
        identical: how many sets of identical files are in more than one split.
    """
    return Gate(
        name="no_leaks",
        subject="data",
        passed=groups + identical == 0,
        severity="fail",
        value=float(groups + identical),
        limit=0.0,
        message=f"{groups} groups and {identical} sets of identical files lie in more than one split",
    )


def _signed(difference: Interval, digits: int = 1) -> str:
    value, low, high = (f"{100 * part:+.{digits}f}" for part in (difference.value, difference.low, difference.high))
    return f"{value} points [{low}, {high}]"
