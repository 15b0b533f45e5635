"""What stages read of the data stage, split by split: a stage depends on no split that it does not look at."""

from __future__ import annotations

from edgetl.data.records import Split

__all__ = ["TRAINING_DATA", "decoded", "originals"]


def decoded(*splits: Split) -> tuple[str, ...]:
    """Records and decoded pixels of some splits."""
    return tuple(f"data/{split}/{file}" for split in splits for file in ("records.json", "pixels.npy"))


def originals(*splits: Split) -> tuple[str, ...]:
    """Records of some splits and what their original files hold, for a stage that decodes those."""
    return tuple(f"data/{split}/{file}" for split in splits for file in ("records.json", "originals.json"))


TRAINING_DATA = decoded("train", "val")
