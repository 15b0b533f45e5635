"""What the shell offers behind TAB, beside names of commands and options: recipes, stages, targets."""

from __future__ import annotations

from pathlib import Path

__all__ = ["complete_compared", "complete_recipe", "complete_stage", "complete_target"]

_STAGES = (
    "data",
    "unlabelled",
    "teach",
    "trial",
    "distil",
    "prune",
    "evaluate",
    "export",
    "quantize",
    "calibrate",
    "verify",
    "benchmark",
    "report",
)
_OF_A_FORMAT = ("export", "quantize", "calibrate", "verify")


def complete_recipe(incomplete: str) -> list[str]:
    """YAML files and folders that a path may go on with, and the recipes of a folder `recipes` while nothing is typed."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") or not incomplete else typed.parent
    if not folder.is_dir():
        return []
    offered = [*sorted(Path("recipes").glob("*.yaml"))] if not incomplete else []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".yaml", ".yml") or (path.is_dir() and not path.name.startswith(".")):
            offered.append(path)
    texts = [f"{path}/" if path.is_dir() else str(path) for path in dict.fromkeys(offered)]
    return [text for text in texts if text.startswith(incomplete)]


def complete_stage(incomplete: str) -> list[str]:
    """Names of stages. A list of its own: the stages' modules take half a second to import."""
    from edgetl.runtime.backends import BACKENDS

    names = [
        f"{stage}.{backend}" if backend else stage
        for stage in _STAGES
        for backend in (BACKENDS if stage in _OF_A_FORMAT else [""])
    ]
    return [name for name in names if name.startswith(incomplete)]


def complete_target(incomplete: str) -> list[str]:
    """Names of the targets that are found from here."""
    from edgetl.config.places import target_folders

    names = {path.stem for folder in target_folders(Path()) for path in folder.glob("*.yaml")}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_compared(incomplete: str) -> list[str]:
    """What measurements can be compared with: `last`, and the labels and names in the project's history."""
    from edgetl.api.history import measurements
    from edgetl.errors import EdgetlError

    try:
        words = {word for record in measurements() for word in (record.label, record.bundle) if word}
    except EdgetlError:
        words = set()
    return [word for word in ["last", *sorted(words)] if word.startswith(incomplete)]
