"""What is odd about records as a whole: labels that are hardly two, and a group that is hardly one patient."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from edgetl.data.records import Record
from edgetl.errors.wording import quoted

__all__ = ["doubtful_groups", "doubtful_labels"]

_FEWEST = 50
_LARGEST = 0.2
"""Share of the images, of so many at least, beyond which a group looks like a word for `unknown`."""


def doubtful_groups(records: Sequence[Record]) -> list[str]:
    """A caution where one group holds much of the set: it could only be in one split."""
    groups = Counter(record.group for record in records if record.group is not None)
    return [
        f"group {name!r} holds {count} of {len(records)} images, and all of them are in one split; where it stands for "
        "unknown patients, leave its cells empty"
        for name, count in groups.most_common(1)
        if len(records) >= _FEWEST and count > _LARGEST * len(records)
    ]


def doubtful_labels(records: Sequence[Record], labels: Mapping[str, str | None]) -> list[str]:
    """A caution where labels differ only in their spelling and do not become one class.

    Args:
        records: under the source's labels.
        labels: the recipe's, source's label -> class; where it names all spellings, it means what it says.
    """
    counts = Counter(record.label for record in records)
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(counts, key=lambda label: (label != label.strip(), not label.isprintable(), -counts[label])):
        spellings[_folded(label)].append(label)
    alike = [same for same in spellings.values() if len({labels.get(label, label) for label in same}) > 1]
    doubtful = [same for same in alike if not labels.keys() >= set(same)]
    if not doubtful:
        return []
    named = "; ".join(", ".join(f"{label!r} ({counts[label]} images)" for label in same) for same in doubtful)
    merged = ", ".join(
        f"{quoted(label, None)}: {quoted(_target(same, labels), None)}"
        for same in doubtful
        for label in same
        if label not in labels and label != _target(same, labels)
    )
    advice = f"to make them one: data: {{labels: {{{merged}}}}}"
    return [f"labels that differ only in case, spaces or Unicode form: {named}; {advice}"]


def _folded(label: str) -> str:
    """The label without case, spaces, accents' two spellings, and letters that cannot be seen."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return "".join(letter for letter in folded if not letter.isspace() and unicodedata.category(letter) != "Cf")


def _target(same: Sequence[str], labels: Mapping[str, str | None]) -> str | None:
    """The class of these spellings: what the recipe makes of one of them, or the tidiest and most frequent one."""
    return next((labels[label] for label in same if label in labels), same[0])
