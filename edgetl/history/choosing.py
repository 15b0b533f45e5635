"""Which earlier measurements are meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetl.errors import UsageError
from edgetl.errors.wording import nearest
from edgetl.history.record import Record

__all__ = ["LAST", "Baseline", "choose", "of_files"]

LAST = "last"
_LEAST_DIGITS = 6


@dataclass(frozen=True)
class Baseline:
    """What is compared with: `about` says which, for people; at least one record."""

    about: str
    records: tuple[Record, ...]


def choose(
    records: Sequence[Record],
    wanted: str,
    name: str = "",
    sha256: str = "",
    until: int | None = None,
    contents: Mapping[str, str] | None = None,
) -> Baseline:
    """The measurements that a word means, looked up in this order.

    - `last`: the bundle that was measured last among those called `name` that are another one; where there is none, earlier
      measurements of that very bundle. One whose files are all the same is that very bundle, whatever its bundle.json says.
    - a label that runs were given: those of bundles called `name`, or of the only name that has it.
    - the beginning of a bundle's sha256, at least 6 digits.
    - the name of a bundle: as `last`, among the bundles of that name.

    Args:
        records: the history, oldest first.
        name, sha256: the bundle that is to be compared; "" where there is none.
        until: before which record `last` was measured; all of them without it.
        contents: by artefact, what that bundle's files are known by; without it, as they were measured.

    Raises:
        UsageError: nothing is meant by it, or several bundles are.
    """
    if wanted == LAST and name:
        found = _latest(records[:until], name, sha256, contents)
        if found is None:
            raise UsageError(f"{wanted}: no bundle {name!r} was measured before", hint=_known(records))
        return found
    if wanted and (labelled := [record for record in records if record.label == wanted]):
        return _labelled(labelled, wanted, name)
    if len(wanted) >= _LEAST_DIGITS and set(wanted) <= set("0123456789abcdef"):
        shas = {record.bundle_sha256 for record in records if record.bundle_sha256.startswith(wanted)}
        if len(shas) > 1:
            raise UsageError(f"{wanted} begins the sha256 of {len(shas)} bundles", hint=", ".join(sorted(shas)))
        if shas:
            return _of_bundle(records, shas.pop())
    if found := _latest(records, wanted, sha256, contents):
        return found
    words = sorted({word for record in records for word in (record.label, record.bundle) if word})
    raise UsageError(f"nothing that was measured is called {wanted!r}{nearest(wanted, words)}", hint=_known(records))


def of_files(records: Sequence[Record], name: str, sha256: str, contents: Mapping[str, str]) -> Baseline:
    """The measurements of a bundle, under whatever name or sha256 its files were measured.

    Args:
        name, sha256: the bundle's now.
        contents: by artefact, what its files are known by (`content_digest`).

    Raises:
        UsageError: nothing of it was measured.
    """
    bundles: dict[str, list[Record]] = defaultdict(list)  # a build whose gates failed has no sha256
    for record in (record for record in records if record.bundled):
        bundles[record.bundle_sha256 or record.measurement].append(record)
    same = {sha256} | {
        key for key, its in bundles.items() if all(contents.get(each.artifact) == each.content for each in its)
    }
    its = tuple(record for record in records if (record.bundle_sha256 or record.measurement) in same)
    if not its:
        raise UsageError(f"nothing of bundle {name} {sha256[:12]}... was measured", hint=_known(records))
    return Baseline(f"bundle {name} {sha256[:12]}...", its)


def _labelled(labelled: Sequence[Record], label: str, name: str) -> Baseline:
    names = sorted({record.bundle for record in labelled})
    if name not in names and len(names) > 1:
        raise UsageError(
            f"runs of {len(names)} bundles are labelled {label!r}, expected one",
            hint=f"they are called {', '.join(names)}: a name, or the beginning of a sha256, says which",
        )
    meant = name if name in names else names[0]
    return Baseline(f"the runs labelled {label!r}", tuple(record for record in labelled if record.bundle == meant))


def _latest(records: Sequence[Record], name: str, sha256: str, contents: Mapping[str, str] | None) -> Baseline | None:
    named = [record for record in records if record.bundle == name and record.bundle_sha256]  # that shipped
    files: dict[str, dict[str, str]] = defaultdict(dict)
    for each in (each for each in named if each.bundled):
        files[each.bundle_sha256][each.artifact] = each.content
    own = contents or files[sha256]
    others = [each for each in named if each.bundle_sha256 != sha256 and files[each.bundle_sha256] != own] or named
    return _of_bundle(named, others[-1].bundle_sha256) if others else None


def _of_bundle(records: Sequence[Record], sha256: str) -> Baseline:
    its = tuple(record for record in records if record.bundle_sha256 == sha256)
    return Baseline(f"bundle {its[-1].bundle} {sha256[:12]}...", its)


def _known(records: Sequence[Record]) -> str:
    if not records:
        return "the history is empty: edgetl bench BUNDLE adds to it"
    seen = {f"{record.bundle} {record.bundle_sha256[:12]}": None for record in reversed(records)}
    labels = {record.label: None for record in reversed(records) if record.label}
    return "measured were " + ", ".join([*list(seen)[:8], *list(labels)[:8]])
