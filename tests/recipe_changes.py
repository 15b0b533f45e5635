"""What depends on what: another value for each field of the recipe, and the stages that read it. Written by hand."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

FORMATS = ("onnx", "openvino", "tflite")
EXPORT, QUANTIZE, CALIBRATE, VERIFY = (
    {f"{stage}.{name}" for name in FORMATS} for stage in ("export", "quantize", "calibrate", "verify")
)
AFTER_CALIBRATE = {*CALIBRATE, *VERIFY, "benchmark"}
AFTER_QUANTIZE = {*QUANTIZE, *AFTER_CALIBRATE}
AFTER_PRUNE = {"prune", "evaluate", *EXPORT, *AFTER_QUANTIZE}
AFTER_DISTIL = {"distil", "evaluate", *VERIFY, "benchmark"}  # where the pruned network ships
AFTER_TRIAL = {"trial", "distil", *AFTER_PRUNE}
AFTER_TEACH = {"teach", *AFTER_TRIAL}
ALL = {"data", *AFTER_TEACH}
OF_TFLITE = {f"{stage}.tflite" for stage in ("export", "quantize", "calibrate", "verify")} | {"benchmark"}
OF_OPENVINO = {f"{stage}.openvino" for stage in ("export", "quantize", "calibrate", "verify")} | {"benchmark"}

_TRAINING: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.01,
    "weight_decay": 0.1,
    "warmup_epochs": 0.5,
    "layer_decay": 0.5,
    "freeze_epochs": 1,
    "patience": 3,
    "progressive": 0.5,
    "ema": 0.5,
    "imbalance": "weights",
    "label_smoothing": 0.1,
    "mixup": 0.2,
    "cutmix": 0.2,
    "precision": "bf16",
    "seed": 5,
}
PHANTOM = {"data": {"kind": "skin_phantom", "image_size": 32}}
NULL_EPOCHS = {"teacher.epochs": None, "distil.epochs": None, "prune.epochs": None}
"""Changes with which the data decide how long everything is trained, as they do by default."""

HEADER = [name + more for more in ("", "2") for name in ("image", "label", "patient", "mask", "notes")]
BY_NAME = {"from": "name", "pattern": "^(.)"}

# Field of the recipe -> what is changed, and the stages that depend on it.
CHANGES: dict[str, tuple[dict[str, Any], Set[str]]] = {
    "name": ({"name": "other"}, set()),
    "seed": ({"seed": 2}, ALL),
    "data.kind": (PHANTOM, ALL),
    "data.root": ({"data.root": "moved/table.csv"}, set()),
    "data.stand_in": ({"data.stand_in": "skin_phantom"}, set()),
    "data.columns": ({"data.columns": None}, ALL),
    **{
        f"data.columns.{role}": ({f"data.columns.{role}": column}, ALL)
        for role, column in (
            ("path", "image2"),
            ("label", "label2"),
            ("group", "patient2"),
            ("mask", "mask2"),
            ("split", "split2"),
        )
    },
    "data.table": ({"data.table": {"folder": "images"}}, ALL),
    "data.table.folder": ({"data.table.folder": "images"}, ALL),
    "data.table.ending": ({"data.table.ending": ".png"}, ALL),
    "data.table.splits": ({"data.root": "data", "data.table.splits": {"train": "table.csv"}}, ALL),
    "data.table.join": ({"data.table.join": "more.csv"}, ALL),
    "data.table.on": ({"data.table.on": "id"}, ALL),
    "data.table.header": ({"data.table.header": HEADER, "data.columns.split": None}, ALL),
    "data.table.separator": ({"data.table.separator": ","}, ALL),
    "data.level": ({"data": {"kind": "folder", "root": "classes", "level": 2, "image_size": 32}}, ALL),
    "data.group": ({"data.group": BY_NAME, "data.columns.group": None}, ALL),
    "data.group.from": ({"data.group": {**BY_NAME, "from": "path"}, "data.columns.group": None}, ALL),
    "data.group.pattern": ({"data.group": {**BY_NAME, "pattern": "^(..)"}, "data.columns.group": None}, ALL),
    "data.labels": ({"data.labels": {"a": "other"}}, ALL),
    "data.exclude": ({"data.exclude": ["images/23.png"]}, ALL),
    "data.image_size": ({"data.image_size": 40}, ALL),
    "data.resize.mode": ({"data.resize.mode": "pad"}, ALL),
    "data.resize.kernel": ({"data.resize.kernel": "bicubic"}, ALL),
    "data.bits": ({"data.bits": 12}, ALL),
    "data.augment": ({"data.augment": "standard"}, AFTER_TEACH),
    "data.split.val": ({"data.split.val": 0.2}, ALL),
    "data.split.test": ({"data.split.test": 0.2}, ALL),
    "data.split.prescribed": ({"data.split.prescribed": "ignore"}, ALL),
    "data.split.seed": ({"data.split.seed": 9}, ALL),
    "data.unlabelled": ({"data.unlabelled": "further"}, AFTER_TRIAL),
    "data.images": ({**PHANTOM, "data.images": 80}, ALL),
    "teacher": ({"teacher": None}, AFTER_TEACH),
    "teacher.members": ({"teacher.members": 2}, AFTER_TRIAL),
    "teacher.backbone": ({"teacher.backbone": "mobilenetv3_small_075"}, AFTER_TEACH),
    "teacher.image_size": ({"teacher.image_size": 64}, AFTER_TEACH),
    "teacher.weights": ({"teacher.weights": "none"}, AFTER_TEACH),
    **{f"teacher.{name}": ({f"teacher.{name}": value}, AFTER_TEACH) for name, value in _TRAINING.items()},
    "student.backbone": ({"student.backbone": "mobilenetv3_small_075"}, AFTER_TRIAL),
    "student.weights": ({"student.weights": "other.pth"}, AFTER_TRIAL),
    "student.attention": ({"student.attention": "se"}, AFTER_TRIAL),
    "student.activation": ({"student.activation": "relu6"}, AFTER_TRIAL),
    "distil.loss": ({"distil.loss": "kd"}, AFTER_TRIAL),
    "distil.weights": ({"distil.weights": [1.0]}, AFTER_TRIAL),
    "distil.temperature": ({"distil.temperature": 3.0}, AFTER_TRIAL),
    "distil.hints": ({"distil.hints": 1.0}, AFTER_TRIAL),
    "distil.label_weight": ({"distil.label_weight": 0.5}, AFTER_TRIAL),
    "distil.trial_epochs": ({"distil.trial_epochs": 2}, AFTER_TRIAL),
    **{f"distil.{name}": ({f"distil.{name}": value}, AFTER_TRIAL) for name, value in _TRAINING.items()},
    # Of two epochs: a trial of one freezes none.
    "distil.freeze_epochs": ({"distil.freeze_epochs": 1, "distil.epochs": 2}, AFTER_TRIAL),
    "prune": ({"prune": None}, AFTER_PRUNE),
    "prune.macs": ({"prune.macs": 0.5}, AFTER_PRUNE),
    "prune.round_to": ({"prune.round_to": 4}, AFTER_PRUNE),
    "prune.reference": ({"prune.reference": False}, AFTER_DISTIL),
    **{f"prune.{name}": ({f"prune.{name}": value}, AFTER_PRUNE) for name, value in _TRAINING.items()},
    "quantize": ({"quantize": None}, AFTER_CALIBRATE),
    "quantize.max_drop": ({"quantize.max_drop": 0.5}, VERIFY),
    "quantize.images": ({"quantize.images": 9}, AFTER_QUANTIZE),
    "export": ({"export": ["tflite", "onnx"]}, {"benchmark"}),
    "incomplete": ({"incomplete": "ship"}, set()),
    "targets": ({"targets": ["other"]}, {"benchmark"}),
}
ONE_VALUE = {"schema", "quantize.scheme"}
