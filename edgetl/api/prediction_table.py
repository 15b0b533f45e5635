"""What a bundle says about pictures as a table (CSV, RFC 4180): a row a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from edgetl.errors import UnreadableImage
from edgetl.runtime.predicting import Prediction

__all__ = ["table"]


def table(results: Iterable[Prediction | UnreadableImage], labels: Sequence[str], flags: Sequence[str]) -> str:
    """The columns file, label, p_LABEL for each label, each flag as 0 or 1, and error.

    A picture that could not be read has its name and the error, and nothing else. Probabilities have all their digits.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["file", "label", *(f"p_{label}" for label in labels), *flags, "error"])
    for result in results:
        if isinstance(result, Prediction):
            probabilities = [result.probabilities[label] for label in labels]
            reached = [int(result.flags[flag]) for flag in flags]
            writer.writerow([result.file, result.label, *probabilities, *reached, ""])
        else:
            writer.writerow([result.place, *[""] * (1 + len(labels) + len(flags)), result.message])
    return out.getvalue()
