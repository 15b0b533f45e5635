"""No command runs a bundle that does not hold together: exit code 5, and nothing of it was opened."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_bundle
from fakes.sessions import FakeSession

from edgetl import cli


def linked(bundle: Path) -> None:
    shutil.move(bundle / "models/blue.bin", bundle.parent / "blue.bin")
    (bundle / "models/blue.bin").symlink_to(bundle.parent / "blue.bin")


def grown(bundle: Path) -> None:
    (bundle / "models/blue.bin").write_text("[0, 0, 1] ")


def reversed_labels(bundle: Path) -> None:
    tiny_bundle.edit(bundle, lambda content: content["labels"].reverse())


def foreign_shape(bundle: Path) -> None:
    """The file is what the manifest says, but it is a model of two classes."""
    (bundle / "models/blue.bin").write_text("[0, 1]")
    tiny_bundle.rehash(bundle, "models/blue.bin")


COMMANDS = {
    "verify": ("verify", "BUNDLE"),
    "predict": ("predict", "BUNDLE", "PICTURE", "--artifact", "blue"),
    "bench": ("bench", "BUNDLE", "--quick"),
    "evaluate": ("evaluate", "BUNDLE", "--data", "folder:DATA", "--artifact", "blue"),
}


CASES = [(command, damage) for command in COMMANDS for damage in (linked, grown, reversed_labels)]
CASES += [(command, foreign_shape) for command in COMMANDS if command != "bench"]  # latency asks for no label


@pytest.mark.parametrize(("command", "damage"), CASES)
def test_a_damaged_bundle_is_not_run(
    command: str,
    damage: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    opened: list[FakeSession] = []
    tiny_bundle.install(monkeypatch, opened)
    bundle = tiny_bundle.write(tmp_path / "bundle")
    picture = bundle / "golden/0.png"
    for number, label in enumerate(("mel", "mel", "nv", "nv")):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle / f"golden/{number % 2}.png", tmp_path / "data" / label / f"{number}.png")
    places = {"BUNDLE": str(bundle), "PICTURE": str(picture), "folder:DATA": f"folder:{tmp_path / 'data'}"}
    damage(bundle)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["edgetl", *(places.get(word, word) for word in COMMANDS[command])])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 5, capfd.readouterr().err
    if damage is not foreign_shape and command != "verify":
        assert opened == []
