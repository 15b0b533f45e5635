"""What the columns of an artefact's output mean, written down three times: a bundle that contradicts itself is refused.

`labels` of bundle.json is what edgetl reads, labels.txt what apps read, and golden/labels.txt names the columns of the
golden outputs, as the stage that computed them knew them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from .bundle_files import Place, plain_file
from .errors import IntegrityError

NAME = "labels.txt"
GOLDEN = "golden/labels.txt"
"""The first bundles of schema 1 lack it."""


def to_text(labels: Sequence[str]) -> str:
    """One label a line, in the order of the output's columns."""
    return "".join(f"{label}\n" for label in labels)


def require_same(bundle: Place, path: str, labels: Sequence[str]) -> None:
    """Hold a bundle's file of labels against those of its manifest.

    Raises:
        IntegrityError: it is no plain file, or holds other labels or another order.
    """
    file, expected = plain_file(bundle, path), to_text(labels).encode()
    try:
        with open(file, "rb") as stream:
            content = stream.read(len(expected) + 1)
    except OSError as exc:
        raise IntegrityError(f"cannot be read: {exc.strerror}", place=file) from exc
    if content != expected:
        lines = content.decode(errors="replace").split("\n")
        pairs = enumerate(zip_longest(lines, [*labels, ""]), start=1)
        number, got, label = next((number, *pair) for number, pair in pairs if pair[0] != pair[1])
        raise IntegrityError(
            f"line {number} is {got!r}, the labels of bundle.json say {label!r}",
            place=file,
            hint="both name the columns of the same output, so one of them was changed: copy the bundle again",
        )
