"""A comparison and measurements as lines that people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgetl.history.changes import Change
from edgetl.history.comparing import Comparison, RowComparison
from edgetl.history.record import Record

__all__ = ["comparison_lines", "record_lines"]

_MARKS = {
    "worse": "WORSE",
    "better": "better",
    "perhaps worse": "perhaps worse (chance in so many comparisons?)",
    "perhaps better": "perhaps better (chance in so many comparisons?)",
    "no difference": "no difference",
}
_ALWAYS = ("p50_ms", "p90_ms")


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """What `edgetl bench --compare` prints: median and 90th percentile of each file, of the rest what changed."""
    yield f"compared with {comparison.baseline}; ratios are now / before with 95 % intervals"
    for row in comparison.rows:
        about = f"{row.artifact:<14} {row.target} x{row.threads}"
        if row.batch != 1:
            about += f" batch {row.batch}"
        if row.reason:
            yield f"{about}  {'times ' if row.changes else ''}not comparable: {row.reason}"
        if row.strange:
            yield f"{about}  machine  not divided out: no yardstick that both sides have"
        if row.machine is not None:
            yield f"{about}  machine  x{row.machine:.3f} for its yardstick, which times are divided by"
        for change in row.changes:
            if change.quantity in _ALWAYS or change.verdict != "no difference":
                yield f"{about}  {_line(change)}"
    for each in comparison.accuracy:
        for change in each.changes:
            yield f"{each.artifact:<14} {each.target}  {_line(change)}"
    for name in comparison.unseen:
        yield f"{name}  not comparable: was measured before, and is not now"
    alike = sum(not row.reason for row in comparison.rows)
    if alike < len(comparison.rows):
        yield f"times of {alike} of {len(comparison.rows)} rows could be compared"
    yield from _spread(comparison.rows)


def _line(change: Change) -> str:
    if change.ratio is not None:
        unit = " MB" if change.quantity.endswith("_mb") else " ms"
        ratio = f"x{change.ratio.value:.3f} [{change.ratio.low:.3f}, {change.ratio.high:.3f}]"
        text = f"{change.before:.2f} -> {change.now:.2f}{unit}  {ratio}"
    elif change.interval is not None:
        low, high = change.interval
        text = f"{change.before:.4f} -> {change.now:.4f}  {change.now - change.before:+.4f} [{low:+.4f}, {high:+.4f}]"
    else:
        text = f"{change.before:g} -> {change.now:g}"
    return f"{change.title}  {text}  {_MARKS[change.verdict]}"


def _spread(rows: Sequence[RowComparison]) -> Iterator[str]:
    """Whether the intervals rest on repeated measurements."""
    compared = [row for row in rows if not row.reason]
    alone = sum(row.repeats == 0 for row in compared)
    if alone:
        which = "nothing here was" if alone == len(compared) else f"{alone} of {len(compared)} rows were not"
        yield (
            f"{which} measured twice: how much two measurements of one file differ is assumed; measure the same bundle again "
            "and the intervals rest on that"
        )


def record_lines(records: Sequence[Record]) -> Iterator[str]:
    """What `edgetl history list` prints, the oldest first."""
    for record in records:
        row = record.row
        marks = [f"label {record.label}"] * bool(record.label) + ["noisy"] * record.noisy
        marks += [row["origin"]] * (row["origin"] != "measured")
        yield (
            f"{record.time}  {record.bundle} {record.bundle_sha256[:12] or '-':<12}  {record.artifact:<14} "
            f"{row['target']} x{row['threads']} {row['mode']:<5}  p50 {row['p50_ms']:.2f}  p90 {row['p90_ms']:.2f} ms"
            f"{'  ' if marks else ''}{', '.join(marks)}"
        )
