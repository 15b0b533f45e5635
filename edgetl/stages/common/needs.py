"""What several stages need: of the data stage, split by split, so that none depends on what it does not look at; tools."""

from __future__ import annotations

from edgetl.data.records import Split

__all__ = [
    "DECODING_TOOLS",
    "EVIDENCE_TOOLS",
    "TRAINING_DATA",
    "TRAINING_TOOLS",
    "UNLABELLED_DATA",
    "decoded",
    "originals",
]


def decoded(*splits: Split) -> tuple[str, ...]:
    """Records and decoded pixels of some splits."""
    return tuple(f"data/{split}/{file}" for split in splits for file in ("records.json", "pixels.npy"))


def originals(*splits: Split) -> tuple[str, ...]:
    """Records of some splits and what their original files hold, for a stage that decodes those as training saw them."""
    of_splits = tuple(f"data/{split}/{file}" for split in splits for file in ("records.json", "originals.json"))
    return (*of_splits, "data/depth.json")


TRAINING_DATA = decoded("train", "val")
UNLABELLED_DATA = ("unlabelled/pixels.npy",)
"""For a stage that may have a teacher; there is none where the recipe has no such pictures."""
TRAINING_TOOLS = ("accelerate", "albumentations", "numpy", "opencv-python-headless", "timm", "torch")
DECODING_TOOLS = ("numpy", "pillow")
"""What original files are decoded and resized with."""
EVIDENCE_TOOLS = ("numpy", "scipy")
"""What temperatures are fitted and intervals computed with."""
