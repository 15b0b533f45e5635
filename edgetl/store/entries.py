"""What the store keeps of a finished stage, and what a stage depends on."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgetl.distributions import installed
from edgetl.errors import IntegrityError

__all__ = ["ENTRY", "DamagedEntry", "Dependencies", "Entry", "read"]

ENTRY = "entry.json"


class DamagedEntry(IntegrityError):
    """A finished stage whose files are no longer what the stage wrote."""

    def __init__(self, key: str, stage: str, problem: str, folder: Path) -> None:
        super().__init__(
            f"the stored result of {stage} is damaged: {problem}",
            place=str(folder),
            hint="edgetl cache prune removes it, and the next build computes it again",
        )
        self.key, self.stage, self.problem = key, stage, problem


@dataclass(frozen=True)
class Dependencies:
    """Everything that a stage depends on.

    version: of the stage's code. settings: its slice of the recipe, as JSON. inputs: digests of what it reads.
    tools: version by distribution. environment: variables that change what those compute, where they are set.

    Device and thread count are provenance and no part: a model trained elsewhere is the same result.
    """

    stage: str
    version: int
    settings: Any
    inputs: Mapping[str, str]
    tools: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        stage: str,
        version: int,
        settings: Any,
        inputs: Mapping[str, str],
        tools: Sequence[str],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Dependencies:
        """With the installed versions of `tools`."""
        versions = {tool: installed(tool) for tool in tools}
        return cls(stage, version, settings, dict(inputs), versions, dict(environment))

    @property
    def key(self) -> str:
        """32 hexadecimal digits over all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """As JSON keeps it: tuples are lists."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content


@dataclass(frozen=True)
class Entry:
    """A finished stage.

    files: sha256 and size in bytes by relative path.
    seconds: how long it took to compute, summed over the builds that it took.
    peak_rss_mb: largest resident memory of the process when it ended, earlier stages of that build included.
    made: when, as 2026-01-31T12:00:00Z.
    parts: what it depended on; None where an edgetl made it that did not record that.
    """

    key: str
    stage: str
    folder: Path
    files: Mapping[str, tuple[str, int]]
    seconds: float
    peak_rss_mb: float | None = None
    made: str = ""
    parts: Dependencies | None = None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(size for _, size in self.files.values())

    def digest(self, path: str = "") -> str:
        """sha256 over the names and contents of its files, or of the one file or folder at `path`."""
        inside = {name: self.files[name][0] for name in self.under(path)}
        return hashlib.sha256(json.dumps(inside, sort_keys=True).encode()).hexdigest()

    def under(self, path: str = "") -> list[str]:
        """Names of its files, or of the one file, or those in the folder, at `path`."""
        return [name for name in self.files if not path or name == path or name.startswith(f"{path}/")]

    def to_json(self) -> dict[str, Any]:
        """entry.json."""
        record = {"schema": 1, "key": self.key, "stage": self.stage, "files": dict(self.files), "made": self.made}
        record |= {"seconds": self.seconds, "peak_rss_mb": self.peak_rss_mb}
        return record | {"parts": self.parts.to_json() if self.parts else None}


def read(folder: Path, stage: str = "a stage") -> Entry:
    """The entry that a folder holds, by its record alone; `stage` names it where the record cannot.

    Raises:
        FileNotFoundError: there is no such folder.
        DamagedEntry: its record is missing or cannot be read.
    """
    key = folder.name
    try:
        record = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
        files = {str(name): (str(sha256), int(size)) for name, (sha256, size) in record["files"].items()}
        parts = _parts(record["parts"]) if record.get("parts") else None
        seconds, rss, made = float(record["seconds"]), record.get("peak_rss_mb"), record.get("made", "")
        if made:
            datetime.datetime.fromisoformat(made)
        return Entry(key, str(record["stage"]), folder, files, seconds, rss, made, parts)
    except (FileNotFoundError, NotADirectoryError) as exc:
        if not folder.is_dir():
            raise FileNotFoundError(str(folder)) from exc
        raise DamagedEntry(key, stage, f"{ENTRY} is missing", folder) from exc
    except IsADirectoryError as exc:
        raise DamagedEntry(key, stage, f"{ENTRY} is a folder", folder) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DamagedEntry(key, stage, f"{ENTRY} cannot be read", folder) from exc


def _parts(record: Mapping[str, Any]) -> Dependencies:
    inputs, tools = dict(record["inputs"]), dict(record["tools"])
    environment = dict(record.get("environment", {}))  # entries of an older edgetl lack it
    return Dependencies(str(record["stage"]), int(record["version"]), record["settings"], inputs, tools, environment)
