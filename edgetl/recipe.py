"""The recipe: what to build, as frozen types.

Every field has a default that is good for a first run; an unknown key is an error that names the nearest known one.
`edgetl.documents` turns YAML into these types and finds the line of each error.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]
Format = Literal["onnx", "openvino", "tflite"]
FORMATS: tuple[Format, ...] = ("onnx", "openvino", "tflite")


class Strict(BaseModel):
    """Frozen, typed, and closed: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Resize(Strict):
    """How a picture becomes the input size; done on the device in the same way (edgetl.runtime.preprocessing).

    mode: crop keeps the aspect and cuts the middle square, stretch ignores the aspect, pad keeps all and adds black.
    kernel: the resampling filter, antialiased as in Pillow.
    """

    mode: Literal["crop", "stretch", "pad"] = "crop"
    kernel: Literal["bilinear", "bicubic"] = "bilinear"


class SplitShares(Strict):
    """Shares of the images that are held out of training, by group; a split the source prescribes is kept."""

    val: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.15
    test: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.15


class Data(Strict):
    """Which labelled images.

    root: a folder; `${NAME}` is replaced from the environment.
    stand_in: used when a variable in `root` is not set; said in every output.
    images: how many images `skin_phantom` renders; other kinds ignore nothing and refuse it.
    """

    kind: Literal["folder", "ham10000", "skin_phantom"] = "folder"
    root: str | None = None
    stand_in: Literal["skin_phantom"] | None = None
    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=8)] = 128
    resize: Resize = Resize()
    split: SplitShares = SplitShares()
    images: Annotated[int, Field(ge=70, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _root_or_phantom(self) -> Data:
        if self.kind == "skin_phantom":
            if self.root is not None:
                raise ValueError("kind skin_phantom renders its own images: leave root out")
        elif self.root is None:
            raise ValueError(f"kind {self.kind} needs a root: the folder with the images")
        elif self.images is not None:
            raise ValueError("images is only for kind skin_phantom")
        return self


class Training(Strict):
    """What every training run has: warm-up, then cosine; early stopping on validation balanced accuracy.

    learning_rate: peak of AdamW at this batch size.
    patience: epochs without a better validation score before stopping; null trains to the end.
    ema: decay of the exponential moving average of the weights, whose BatchNorm is recalibrated; 0 switches it off.
    imbalance: logit_adjust (Menon et al., 2021) or class weights against rare classes, or none.
    """

    epochs: Annotated[int, Field(ge=1, le=1000)] = 10
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 64
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 1.0
    patience: Annotated[int, Field(ge=1)] | None = None
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    imbalance: Literal["logit_adjust", "weights", "none"] = "logit_adjust"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"


class Teacher(Training):
    """The larger network that the student learns from.

    weights: package (ImageNet weights from an installed package), hub (timm's download), none, or the path of a file.
    """

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "package"
    epochs: Annotated[int, Field(ge=1, le=1000)] = 8


class Student(Strict):
    """The compact network that ships.

    attention: by timm's own layers, in the blocks where the backbone has squeeze-and-excite; null keeps what the
        backbone has, none removes it.
    activation: replaces the backbone's activation (relu6 for NPUs that want pure int8); null keeps it.
    """

    backbone: str = "mobilenetv3_large_100"
    weights: str = "none"
    attention: Literal["none", "se", "eca", "cbam", "coord"] | None = None
    activation: Literal["relu", "relu6", "hard_swish", "silu"] | None = None


class Distil(Training):
    """How the student learns from labels and teacher.

    loss: dist (Huang et al., 2022), kd (Hinton et al., 2015), kd_standardized (z-scored logits; Sun et al., 2024).
    weights: candidates for the weight of the teacher's loss beside the label loss; the best on validation is kept.
        0 is training alone: with 0 among them a teacher cannot make the student worse.
    temperature: softens both outputs in the teacher's loss.
    """

    loss: Literal["dist", "kd", "kd_standardized"] = "dist"
    weights: Annotated[tuple[Annotated[float, Field(ge=0.0, le=100.0)], ...], Field(min_length=1, max_length=8)] = (
        0.0,
        1.0,
    )
    temperature: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    epochs: Annotated[int, Field(ge=1, le=1000)] = 15
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 2e-3


class Prune(Training):
    """Structured pruning to a share of the multiply-accumulates, then recovery by distillation.

    macs: share of the student's MACs to keep. round_to: channels stay multiples of it.
    """

    macs: Fraction = 0.6
    round_to: Literal[1, 2, 4, 8, 16, 32] = 8
    epochs: Annotated[int, Field(ge=1, le=1000)] = 12
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-3


class Quantize(Strict):
    """Post-training quantization, calibrated on training images.

    max_drop: largest loss of balanced accuracy against the same backend's fp32 that passes without a warning.
    images: how many training images calibrate the ranges.
    """

    scheme: Literal["int8"] = "int8"
    max_drop: Fraction = 0.003
    images: Annotated[int, Field(ge=8, le=10_000)] = 256


class Recipe(Strict):
    """One build."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    data: Data
    teacher: Teacher | None = Teacher()
    student: Student = Student()
    distil: Distil = Distil()
    prune: Prune | None = None
    quantize: Quantize | None = Quantize()
    export: Annotated[tuple[Format, ...], Field(min_length=1)] = FORMATS
    targets: tuple[str, ...] = ("local_cpu",)

    @model_validator(mode="after")
    def _formats_once(self) -> Recipe:
        if len(set(self.export)) != len(self.export):
            raise ValueError("export names a format twice")
        return self
