"""The recipe's data section: which labelled images, and how they are read, split and shown to the network."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edgetl.config import names
from edgetl.config.names import OneOf, table
from edgetl.config.strict import Seed, Strict

__all__ = ["Columns", "Data", "Group", "Resize", "Split", "Table"]


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
