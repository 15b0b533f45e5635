"""The recipe: what to build, as frozen types.

Every field has a default that is good for a first run; an unknown key is an error that names the nearest known one.
The text under a field is its documentation, wherever that is shown: `edgetl explain`, the JSON schema, docs/recipe.md.
`edgetl.config.yaml_document` turns YAML into these types and finds the line of each error.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from edgetl.config.data import Data
from edgetl.config.delivery import PRECISIONS, Export, Quantize, parts_of
from edgetl.config.strict import Seed, Strict, Whole
from edgetl.config.training import MOST_TEACHERS, Distil, Prune, Student, Teacher

__all__ = ["Recipe"]


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
