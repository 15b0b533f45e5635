"""One label for each image: what is asked of a table whose rows give none, or several, and what to write about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from edgetl.data.readers.hints import data_field
from edgetl.data.readers.labels import BAR, NoLabel, SeveralLabels, parts
from edgetl.data.records import Doubt, Record
from edgetl.errors.wording import quoted, some

__all__ = ["left_out", "require"]


def left_out(records: Sequence[Record], labels: Mapping[str, str | None]) -> Iterator[str]:
    """How many images have no label, where the recipe leaves them out."""
    count = sum(not record.label for record in records)
    if count and "" in labels and labels[""] is None:
        yield f"{count} images without a label are left out, as data.labels says"


def require(records: Sequence[Record], doubts: Mapping[str, Doubt], place: str) -> None:
    """One label for each image. Raises DataError where there is none, or several."""
    if lacking := [record.image for record in records if not record.label]:
        message, where = _said([doubts[image] for image in lacking])
        hint = f"to leave {len(lacking)} of {len(records)} images out: {_labels_said({'': None})}"
        raise NoLabel(message, place=where, hint=hint)
    several = [record for record in records if BAR in record.label]
    if not several:
        return
    counts = Counter(label for record in records for label in parts(record.label))
    often = counts.most_common(1)[0][0]
    one = {**_holding(often, records), "*": f"no {often}"}
    where = place
    message = (
        f"{len(several)} of {len(records)} images have several labels, such as {several[0].label} of {several[0].image}, "
        "and edgetl learns one label per image"
    )
    if contradicted := [doubts[record.image] for record in several if record.image in doubts]:
        said, where = _said(contradicted)
        message = f"{said}\n{message}"
    raise SeveralLabels(
        message,
        place=where,
        hint=f"to leave them out: {_labels_said({'*|*': None})}; to ask for one of them: {_labels_said(one)}",
    )


def _holding(label: str, records: Sequence[Record]) -> dict[str, str]:
    """Patterns of the labels that hold one, and none in whose name it only is a part, as normal is of abnormal."""
    known = {record.label for record in records}
    if not any(label in part and label != part for name in known for part in parts(name)):
        return {f"*{label}*": label}
    found = {
        label: any(name == label for name in known),
        f"{label}{BAR}*": any(name.startswith(f"{label}{BAR}") for name in known),
        f"*{BAR}{label}": any(name.endswith(f"{BAR}{label}") for name in known),
        f"*{BAR}{label}{BAR}*": any(f"{BAR}{label}{BAR}" in name for name in known),
    }
    return {pattern: label for pattern, fits in found.items() if fits}


def _said(doubts: Sequence[Doubt]) -> tuple[str, str]:
    """All of them in one message, and the place of the first."""
    first, *others = doubts
    return "\n".join(some([first.said, *(f"{doubt.place}: {doubt.said}" for doubt in others)])), first.place


def _labels_said(labels: Mapping[str, str | None]) -> str:
    """How data.labels is written, in a recipe and beside --data."""
    return data_field("labels", quoted(labels, None))
