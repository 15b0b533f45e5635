"""The recipe: what to build, as frozen types.

Every field has a default that is good for a first run; an unknown key is an error that names the nearest known one.
The text under a field is its documentation, wherever that is shown: `edgetl explain`, the JSON schema, docs/recipe.md.
`edgetl.config.yaml_document` turns YAML into these types and finds the line of each error.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from edgetl.config import names
from edgetl.config.names import OneOf, table

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]
Epochs = Annotated[int, Field(ge=1, le=1000)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Rate = Annotated[float, Field(gt=0.0, le=1.0)]
PRECISIONS: Mapping[str, str] = {"fp32": "its float32 file alone", "int8": "its 8-bit file alone"}
"""Of each format; int8 is held against fp32, so that is built first."""


def parts_of(entry: str) -> tuple[str, str]:
    """Format and precision of an entry of `export`, or of a file's name; without a precision the whole format."""
    backend, _, precision = entry.rpartition("-")
    return (backend, precision) if backend and precision in PRECISIONS else (entry, "")


Export = Annotated[str, OneOf(names.BACKENDS, parts=PRECISIONS)]
MOST_TEACHERS = 8
WEIGHTS = ("package", "hub", "none")
"""What initial weights are by name; everything else is the path of a file."""


def _whole(value: Any) -> Any:
    if isinstance(value, bool | float):  # Python has True == 1 == 1.0, and a Literal takes them all
        raise ValueError(f"got {str(value).lower()}, expected a whole number")
    return value


Whole = BeforeValidator(_whole)


def _class_name(value: str) -> str:
    if not value or value != value.strip():
        raise ValueError(f"got {value!r}, expected a name without spaces around it; null leaves the label out")
    return value


def _pattern(value: str) -> str:
    if not value.strip():
        raise ValueError(f"got {value!r}, expected a path or a pattern of paths")
    return value


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as exc:
        raise ValueError(f"got {value!r}, which is no regular expression: {exc}") from exc
    return value


class Strict(BaseModel):
    """Frozen, typed, and closed: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Resize(Strict):
    """How a picture becomes the input size; done on the device in the same way (edgetl.runtime.preprocessing)."""

    mode: Literal["crop", "stretch", "pad"] = "crop"
    """crop keeps the aspect and cuts the middle square, stretch ignores the aspect, pad keeps all and adds black."""
    kernel: Literal["bilinear", "bicubic"] = "bilinear"
    """The resampling filter, antialiased as in Pillow."""


class Split(Strict):
    """What is held out of training, by group; a split that the source prescribes is kept."""

    val: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.15
    """Share of the images for validation: it chooses epochs, candidates, temperatures and thresholds."""
    test: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.15
    """Share of the images that nothing is chosen on."""
    seed: Seed | None = None
    """Draws the split; null takes the recipe's seed. Set it to keep one split while the training seed varies."""
    prescribed: Literal["keep", "ignore"] = "keep"
    """What becomes of the splits that the source itself prescribes; ignore deals its images anew."""


class Columns(Strict):
    """Which columns of a table hold what; null looks for the usual names."""

    path: str | None = None
    """Path, file name or id of the picture."""
    label: str | Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Class name; or a list of columns, one a class, which hold 1 for the class and 0 or nothing for the others."""
    group: str | None = None
    """Lesion, patient or study: what must stay on one side of the split."""
    mask: str | None = None
    """Path of a segmentation mask."""
    split: str | None = None
    """train, val or test, where the source prescribes it."""


class Table(Strict):
    """How tables and their pictures lie, where that cannot be found out."""

    folder: str | None = None
    """Where the pictures are, from the table's folder on; null looks everywhere below it."""
    ending: Annotated[str, Field(pattern=r"\.\w+")] | None = None
    """Ending of the pictures (.png) where several files have a row's id."""
    splits: dict[Literal["train", "val", "test"], str] = Field(default_factory=dict)
    """A table for each split, as `train: train.csv`, from root on, which then is their folder."""
    join: str | None = None
    """Another table with further columns of the same images, from the first table's folder on."""
    on: str | None = None
    """Column by which the rows of the two go together; null takes the picture's, a patient's, or the only one that differs
    in each row."""
    header: tuple[str, ...] = ()
    """Names of the columns, where the first line of the table is no header."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands between cells; null looks for commas, tabs, semicolons, bars and blanks."""


class Group(Strict):
    """How the names of images say which of them show one patient, where no column does."""

    source: Literal["name", "path"] = Field("name", alias="from")
    """name: the file's, without its folders; path: the whole one, below root."""
    pattern: Annotated[str, AfterValidator(_expression)]
    """Regular expression that is looked for in it, as in `^(person\\d+)_`; what its parentheses hold is the group, all that
    it matches without them. An image in which it is not found is a group of its own."""


class Data(Strict):
    """Which labelled images."""

    kind: Annotated[str, OneOf(names.READERS)] = "folder"
    """What the pictures are."""
    root: str | None = None
    """The folder or file that they are; kinds that render theirs have none. `${NAME}` is replaced from the environment."""
    stand_in: Annotated[str, OneOf(names.READERS, only="render")] | None = None
    """Used when a variable in root is not set; said in every output."""
    columns: Columns | None = None
    """Only for tables."""
    table: Table | None = None
    """Only for tables."""
    level: Annotated[int, Field(ge=1, le=8)] = 1
    """Only for class folders: how many folders below root, or below a split's folder, the classes are."""
    group: Group | None = None
    """Patients by the images' names."""
    labels: dict[str, Annotated[str, AfterValidator(_class_name)] | None] = Field(default_factory=dict)
    """Renames or merges the source's labels, as `source label: class`; null leaves the label's images out. Labels that
    are not named stay."""
    exclude: str | tuple[Annotated[str, AfterValidator(_pattern)], ...] = ()
    """Images to leave out: patterns of their paths below root (`scans/blurry_*.png`), or a text file of such patterns."""
    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=8)] = 128
    """Height and width of the network's input, in pixels."""
    resize: Resize = Resize()
    """How a picture becomes the input size."""
    bits: Annotated[int, Field(ge=8, le=16)] | None = None
    """Bits that unsigned 16-bit grey uses: white is 2**bits - 1, and a picture with a larger value is refused. null takes the
    fewest that hold the largest value of all pictures. Other pictures say what their white is."""
    augment: Literal["strong", "standard", "light", "none"] | None = None
    """Random changes while training. standard: any angle and mirror image, for pictures without an up or a down; strong:
    the same with crops, down to 0.6 of the width, and more colour, for long trainings; light: a few degrees, for
    ultrasound and X-ray; null: standard where the kind is known to have no up, else light."""
    split: Split = Split()
    """What is held out of training."""
    images: Annotated[int, Field(ge=70, le=1_000_000)] | None = None
    """How many images a kind renders; those that render none refuse it."""
    unlabelled: str | None = None
    """Folder of further pictures of the same sort, of which nobody knows the class: of them the student learns what the teacher
    says, in each batch of at most as many as are labelled. Those that show a picture of validation or test are left out. It
    starts where the command runs or at the recipe's project; `${NAME}` is replaced."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Data:
        reader = table(names.READERS)[self.kind]
        if reader.render:
            if self.root is not None:
                raise ValueError(f"root is not for kind {self.kind}, which renders its own images: leave it out")
        elif self.root is None:
            raise ValueError(f"kind {self.kind} needs a root: {reader.root}")
        elif self.images is not None:
            raise ValueError(f"images is only for kind {_kinds_with('render')}")
        for name in ("columns", "table"):
            if getattr(self, name) is not None and not reader.columns:
                raise ValueError(f"{name} is only for kind {_kinds_with('columns')}, not {self.kind}")
        if self.level != 1 and not reader.levels:
            raise ValueError(f"level is only for kind {_kinds_with('levels')}, not {self.kind}")
        if self.group is not None and self.columns is not None and self.columns.group is not None:
            raise ValueError("group and columns.group both say what the groups are: leave one of them out")
        return self


def _kinds_with(attribute: str) -> str:
    return " or ".join(name for name, reader in table(names.READERS).items() if getattr(reader, attribute))


class Training(Strict):
    """What every training has: warm-up, then cosine; the last epoch is kept, unless an earlier one leads by more than noise."""

    epochs: Epochs | None = None
    """Passes over the training images; null takes what the network needs: about 4,600 steps from random weights (20 to 300
    epochs), 1,150 from pretrained ones (5 to 100)."""
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 128
    """Images per step; with several processes, of all of them together."""
    learning_rate: Rate = 1e-3
    """Peak of AdamW at this batch size."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    """Decoupled weight decay; norms and biases have none."""
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 1.0
    """Linear rise to the peak learning rate."""
    layer_decay: Fraction = 1.0
    """Factor of the learning rate from one block to the one below it; below 1 keeps early, pretrained layers."""
    freeze_epochs: Annotated[int, Field(ge=0)] = 0
    """For so many epochs only the classifier learns, and the backbone stays as it is."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better validation score after which the learning rate comes down to zero, over a fifth of the epochs
    so far, and the training ends, never later than planned; null trains to the planned end."""
    progressive: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the epochs, from the first, that train on pictures of about three quarters of the side (Tan and Le, 2021):
    quicker; not for networks of a fixed input size. Validation is always at full size."""
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    """Decay of the exponential moving average of the weights, whose BatchNorm is recalibrated; 0 switches it off."""
    imbalance: Literal["logit_adjust", "weights", "none"] = "logit_adjust"
    """Against rare classes: logit adjustment (Menon et al., 2021), class weights, or nothing."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the label that is spread over all classes (Szegedy et al., 2016)."""
    mixup: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Alpha of mixup (Zhang et al., 2018): images and labels are blended in pairs; 0 switches it off."""
    cutmix: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Alpha of CutMix (Yun et al., 2019): a box of one image in another; with mixup too, each batch draws one of both."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Mixed precision of forward and backward pass; auto: bf16 on a GPU that computes in it, else fp32."""
    seed: Seed | None = None
    """Draws initial weights, order and augmentation; null takes the recipe's seed."""


class Teacher(Training):
    """A network that the student learns from: a larger one, or one like it (Furlanello et al., 2018)."""

    backbone: str = "tf_efficientnet_lite0"
    """Name of a timm model."""
    members: Annotated[int, Field(ge=1, le=MOST_TEACHERS), Whole] = 1
    """How many of it, which differ in their seed alone: `seed`, `seed` + 1 and so on. They count as that many teachers."""
    weights: str = "package"
    """package (ImageNet weights from an installed package), hub (timm's download), none, or the path of a file,
    which starts where the command runs or at the recipe's project: .safetensors, .pth or .pt, a checkpoint of the same network
    from timm or torchvision, whose classifier is left out where it has other classes. `edgetl doctor` lists those in caches."""
    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=8)] | None = None
    """Height and width of the pictures that it sees, resized from the student's crop, for one that takes a single size;
    null: those of the student."""
    learning_rate: Rate = 7e-4
    """Peak of AdamW at this batch size."""


class Student(Strict):
    """The compact network that ships."""

    backbone: str = "mobilenetv3_large_100"
    """Name of a timm model."""
    weights: str = "none"
    """package (ImageNet weights from an installed package), hub (timm's download), none, or the path of a file,
    which starts where the command runs or at the recipe's project: .safetensors, .pth or .pt, a checkpoint of the same network
    from timm or torchvision, whose classifier is left out where it has other classes. `edgetl doctor` lists those in caches."""
    attention: Annotated[str, OneOf(names.ATTENTION, {"none": "takes away what it has"})] | None = None
    """Attention in the blocks where the backbone has squeeze-and-excite, or, where it has none (ResNet, RegNetX, RepVGG,
    MobileOne, ConvNeXt), after the last convolution of each block, before the addition; null keeps what it has. The build says
    where. Transformers and plain stacks (ViT, VGG) have no place for it."""
    activation: Literal["relu", "relu6", "hard_swish", "silu"] | None = None
    """Replaces the backbone's activation (relu6 for NPUs that want pure int8); null keeps it."""


class Distil(Training):
    """How the student learns from labels and teachers."""

    loss: Annotated[str, OneOf(names.DISTIL_LOSSES)] = "dist"
    """What is matched of the teacher's outputs."""
    weights: Annotated[tuple[Annotated[float, Field(ge=0.0, le=100.0)], ...], Field(min_length=1, max_length=8)] = (
        0.0,
        1.0,
    )
    """Candidates for the weight of the teacher's loss beside the label loss; 0 is training alone. Each is tried in a
    short training. The smallest one is chosen that is behind the best on validation by no more than chance explains
    among so many: with 0 among them, a teacher has to show that it helps."""
    hints: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    """Weight of the teacher's last feature map, reached through a projection that is thrown away (Romero et al., 2015), beside
    the loss of its outputs; of several teachers the mean of all. Both together have the chosen one of `weights`. 0: none."""
    label_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0
    """Weight of the label loss beside the teacher's; training alone always has 1. With 0 the student learns from its teacher
    alone."""
    trial_epochs: Epochs | None = None
    """Passes over the training images when a candidate is tried; null: a tenth of the student's, at least 5 and at most
    as many as the student's."""
    temperature: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    """Softens both outputs in the teacher's loss."""
    learning_rate: Rate = 2e-3
    """Peak of AdamW at this batch size."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Decoupled weight decay; norms and biases have none."""

    @model_validator(mode="after")
    def _something_teaches(self) -> Distil:
        if self.label_weight == 0 and 0 in self.weights:
            raise ValueError(
                "label_weight is 0, and so is one of weights, with which nothing teaches: leave one of them out"
            )
        return self


class Prune(Training):
    """Structured pruning to a share of the multiply-accumulates, after the student's trial; what is left is trained to the
    end."""

    macs: Fraction = 0.6
    """Share of the student's multiply-accumulates to keep."""
    round_to: Annotated[Literal[1, 2, 4, 8, 16, 32], Whole] = 8
    """Channels stay multiples of it."""
    epochs: Epochs | None = None
    """Passes over the training images; null: as many as the student's."""
    learning_rate: Rate = 2e-3
    """Peak of AdamW at this batch size."""
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Decoupled weight decay; norms and biases have none."""
    reference: bool = True
    """Also train the unpruned student to the end, equally long; the report compares the two. false spares that time."""


class Quantize(Strict):
    """Post-training quantization, calibrated on training images."""

    scheme: Literal["int8"] = "int8"
    """Weights and activations in 8 bits, weights per channel."""
    max_drop: Fraction = 0.003
    """Largest loss of balanced accuracy against the same backend's fp32 that passes without a warning."""
    images: Annotated[int, Field(ge=8, le=10_000)] = 256
    """How many training images calibrate the ranges."""


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


_Several = Annotated[tuple[Teacher, ...], Field(min_length=1, max_length=MOST_TEACHERS)]
Teachers = Annotated[
    Annotated[Teacher, Tag("one")] | Annotated[_Several, Tag("several")],
    Discriminator(_one_or_several),
]


class Recipe(Strict):
    """One build."""

    schema_: Annotated[Literal[1], Whole, Field(alias="schema")] = 1
    """Version of the recipe's format."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Names the run folder runs/NAME."""
    seed: Seed = 0
    """Of everything random: split, initial weights, order, augmentation, resampling."""
    data: Data
    """Which labelled images."""
    teacher: Teachers | None = Teacher()
    """What the student learns from: one network, a list of them whose logits are averaged, or null."""
    student: Student = Student()
    """The compact network that ships."""
    distil: Distil = Distil()
    """How the student learns."""
    prune: Prune | None = None
    """Structured pruning; null leaves it out."""
    quantize: Quantize | None = Quantize()
    """8-bit artefacts beside the fp32 ones; null leaves them out."""
    export: Annotated[tuple[Export, ...], Field(min_length=1)] = ("onnx", "openvino", "tflite")
    """Files of the bundle: a format stands for all its precisions, `tflite-fp32` for one file. fp32 is built, to hold int8
    against it, where only int8 ships too."""
    incomplete: Literal["refuse", "ship"] = "refuse"
    """What becomes of the bundle when a file cannot be made, does not work in its runtime, or fails a gate. refuse: there is
    none, and the build ends with exit code 1; ship: it holds the other files, and console, report and model card say first
    which one is missing, and why (as `make --keep-going` does). Where no file is left there is no bundle either."""
    targets: tuple[str, ...] = ("local_cpu",)
    """Where latency is measured: names of files in targets/."""

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Each network that teaches, `members` one by one; none where the student learns alone."""
        return tuple(member for teacher in self._listed for member in self._members(teacher))

    @property
    def _listed(self) -> tuple[Teacher, ...]:
        if self.teacher is None:
            return ()
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)

    def _members(self, teacher: Teacher) -> list[Teacher]:
        if teacher.members == 1:
            return [teacher]
        first = self.seed if teacher.seed is None else teacher.seed
        return [teacher.model_copy(update={"members": 1, "seed": first + more}) for more in range(teacher.members)]

    @model_validator(mode="after")
    def _teachers_fit(self) -> Recipe:
        if len(self.teachers) > MOST_TEACHERS:
            raise ValueError(
                f"teacher lists {len(self.teachers)} networks with their members, expected at most {MOST_TEACHERS}"
            )
        seen: dict[Teacher, int] = {}
        for number, teacher in enumerate(self._listed):
            for member in self._members(teacher):
                # null means the recipe's seed: written out or not, the same network would be trained twice.
                seeded = member if member.seed is not None else member.model_copy(update={"seed": self.seed})
                if seeded in seen:
                    same = f"teacher.{seen[seeded]} and teacher.{number} are the same network"
                    raise ValueError(f"{same} where the seed is {seeded.seed}: give one of them another seed")
                seen[seeded] = number
        return self

    @model_validator(mode="after")
    def _something_teaches(self) -> Recipe:
        if self.data.unlabelled is not None and not (self.teachers and any(self.distil.weights)):
            raise ValueError(
                "data.unlabelled is for what a teacher says, and there is none, or distil.weights has 0 alone"
            )
        if self.teacher is None and self.distil.label_weight == 0:
            raise ValueError("distil.label_weight is 0, and teacher: null leaves nothing else to learn from")
        return self

    @property
    def artifacts(self) -> tuple[str, ...]:
        """Names of the files that are to ship, as `onnx-int8`, in the order of `export`."""
        return tuple(
            f"{backend}-{precision}"
            for backend, named in map(parts_of, self.export)
            for precision in ([named] if named else self._precisions)
        )

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that are built, in the order of `export`."""
        return tuple(dict.fromkeys(backend for backend, _ in map(parts_of, self.export)))

    @property
    def _precisions(self) -> tuple[str, ...]:
        return tuple(one for one in PRECISIONS if one != "int8" or self.quantize is not None)

    def makes(self, backend: str, precision: str) -> bool:
        """Whether a file is built: to ship, or as what int8 is held against."""
        return backend in self.formats if precision == "fp32" else f"{backend}-{precision}" in self.artifacts

    def export_of(self, artifacts: Container[str]) -> tuple[str, ...]:
        """`export` in its shortest form where only some of its files are to ship."""
        kept = [name for name in self.artifacts if name in artifacts]
        whole = {
            backend for backend in self.formats if all(f"{backend}-{one}" in artifacts for one in self._precisions)
        }
        return tuple(dict.fromkeys(parts_of(name)[0] if parts_of(name)[0] in whole else name for name in kept))

    @model_validator(mode="after")
    def _files_once(self) -> Recipe:
        for number, entry in enumerate(self.export):
            before = self.export[:number]
            backend, precision = parts_of(entry)
            if entry in before:
                raise ValueError(f"export.{number} names {entry} twice")
            if precision and backend in self.export:
                raise ValueError(
                    f"export.{number} names {entry}, which {backend} beside it stands for already: leave out one of the two"
                )
            if precision == "int8" and self.quantize is None:
                raise ValueError(f"export.{number} names {entry}, and quantize: null leaves out every int8 file")
        return self
