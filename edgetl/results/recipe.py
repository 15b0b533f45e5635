"""What the page and the card say of the recipe. report.json has the whole of it, in the recipe's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from edgetl.results.document import Positive, Share

__all__ = ["ShownRecipe"]


@dataclass(frozen=True)
class _Resize:
    mode: Literal["crop", "stretch", "pad"]
    kernel: str


@dataclass(frozen=True)
class _Data:
    image_size: Positive
    resize: _Resize


@dataclass(frozen=True)
class _Teacher:
    backbone: str
    members: Positive = 1


@dataclass(frozen=True)
class _Student:
    backbone: str
    attention: str | None


@dataclass(frozen=True)
class _Prune:
    macs: Share
    reference: bool


def _one_or_several(teacher: Any) -> str:
    return "<several>" if isinstance(teacher, list | tuple) else "<one>"


_Several = Annotated[tuple[_Teacher, ...], Field(min_length=1)]
_Teachers = Annotated[
    Annotated[_Teacher, Tag("<one>")] | Annotated[_Several, Tag("<several>")], Discriminator(_one_or_several)
]


@dataclass(frozen=True)
class ShownRecipe:
    """Some fields of `edgetl.config.recipe.Recipe`; the others are not looked at."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    name: str
    data: _Data
    teacher: _Teachers | None
    student: _Student
    prune: _Prune | None

    @property
    def teachers(self) -> tuple[str, ...]:
        """Their backbones, that of members as often as there are any."""
        if self.teacher is None:
            return ()
        several = self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)
        return tuple(teacher.backbone for teacher in several for _ in range(teacher.members))
