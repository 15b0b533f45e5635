"""Why a stage would run: what differs between what it depends on now and what the most recent entry depended on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgetl.store.entries import DamagedEntry, Dependencies, Entry, read

__all__ = ["DATA_CHANGED", "History", "differences"]

DATA_CHANGED = "the data changed"
"""How it is said that a data set is another one; which of its files, the store does not know."""
_SHOWN = 40


class History:
    """The entries of a store, and when builds of which recipe needed them."""

    def __init__(self, root: Path | None) -> None:
        """Read all records of the store at `root`; None has none."""
        self._root = root or Path()
        self._entries: dict[str, list[Entry]] = {}
        for folder in sorted((root / "entries").glob("*")) if root else []:
            try:
                entry = read(folder)
            except (OSError, DamagedEntry):
                continue
            self._entries.setdefault(entry.stage, []).append(entry)

    def why(self, parts: Dependencies, recipe: str, fields: Any, waits: Collection[str] = ()) -> list[str]:
        """Why a stage that depends on `parts` would run, a phrase each.

        It is held against the entry of the same stage that a build of `recipe` needed last, or else against the one that
        differs least.

        Args:
            fields: the recipe as JSON, for the full names of settings.
            waits: stages that it needs and that would run first.
        """
        first = [f"after {', '.join(waits)}"] if waits else []
        entries = self._entries.get(parts.stage, [])
        if not entries:
            return [*first, "never computed in this store"]
        known = [entry for entry in entries if entry.parts is not None]
        if not known:
            return [*first, "unknown: what the stored results depended on was not recorded"]
        changes = differences(self.compared(parts, recipe, fields, waits).parts or parts, parts, fields, waits)
        return first + (changes or ([] if first else ["its result is not in the store"]))

    def compared(self, parts: Dependencies, recipe: str, fields: Any, waits: Collection[str] = ()) -> Entry:
        """The entry that `why` holds the stage against; there has to be one."""
        known = [entry for entry in self._entries[parts.stage] if entry.parts is not None]
        latest = max(known, key=lambda entry: self._last_use(entry.key, recipe))
        if self._last_use(latest.key, recipe):
            return latest

        def distance(entry: Entry) -> tuple[int, Sequence[int]]:
            return len(differences(entry.parts or parts, parts, fields, waits)), _backwards(entry.made)

        return min(reversed(known), key=distance)

    def _last_use(self, key: str, recipe: str) -> float:
        try:
            return (self._root / "used" / key / recipe).stat().st_mtime
        except OSError:
            return 0.0


def differences(old: Dependencies, new: Dependencies, fields: Any = None, waits: Collection[str] = ()) -> list[str]:
    """What changed from `old` to `new`, a phrase each: the stage's own code, settings, tools, what it reads."""
    changes = []
    if old.version != new.version:
        changes.append(f"the stage's version: {old.version} -> {new.version}")
    names = _Names(fields)
    before, after = dict(_flat(old.to_json()["settings"])), dict(_flat(new.to_json()["settings"]))
    for name in _either(before, after):
        if before.get(name, ...) != after.get(name, ...) and not (_within(name, before) or _within(name, after)):
            changes.append(f"{names.full(name)}: {_short(before, name)} -> {_short(after, name)}")
    for tool in _either(old.tools, new.tools):
        if old.tools.get(tool) != new.tools.get(tool):
            changes.append(f"{tool}: {old.tools.get(tool, 'not used')} -> {new.tools.get(tool, 'not used')}")
    for name in _either(old.environment, new.environment):
        if old.environment.get(name) != new.environment.get(name):
            before_it, now = old.environment.get(name, "not set"), new.environment.get(name, "not set")
            changes.append(f"the environment variable {name}: {before_it} -> {now}")
    for name in _either(old.inputs, new.inputs):
        if name.partition("/")[0] not in waits and old.inputs.get(name) != new.inputs.get(name):
            changes.append(DATA_CHANGED if name == "source" else f"{name} changed")
    return changes


class _Names:
    """A stage's slice of the recipe leaves out where a field stands: `image_size` is the recipe's data.image_size."""

    def __init__(self, fields: Any) -> None:
        self._values = dict(_flat(fields)) if fields is not None else {}

    def full(self, name: str) -> str:
        if name not in self._values:
            longer = [path for path in self._values if path.endswith(f".{name}")]
            name = longer[0] if len(longer) == 1 else name
        if name.endswith(".seed") and self._values.get(name, 0) is None:
            return "seed"  # a null seed takes the recipe's, and that is what a person changed
        return name


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings by dotted path; lists are leaves."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _within(name: str, leaves: Mapping[str, Any]) -> bool:
    """Whether a name lies in a section that is no section there, but null: that is said once, of the section."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in leaves for length in range(1, len(parts)))


def _either(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*new, *old]))


def _short(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "a section" if any(field.startswith(f"{name}.") for field in values) else "not set"
    text = json.dumps(values[name], ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _backwards(made: str) -> Sequence[int]:
    """Sorts later times first."""
    return [-ord(letter) for letter in made]
