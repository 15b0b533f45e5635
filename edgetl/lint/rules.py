"""What is known of runtimes, as data: a file of `rules/` each, which says of every rule with which version it was seen, and
where. A runtime is asked for by the kind of a target's device and a backend; the first rule that fits an operator decides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgetl.config import yaml_document
from edgetl.config.validation import validate
from edgetl.lint.graph import Kind

__all__ = ["Expectation", "Rule", "Rules", "Verdict", "all_rules", "rules_of"]

Verdict = Literal["native", "falls_back", "slow_int8", "unknown"]
"""native: in the type that the file says, by kernels made for it. falls_back: elsewhere (reference kernels, another device) or
in another type, between conversions. slow_int8: in int8, slower than in float32."""
Text = Annotated[str, Field(min_length=1)]

_FOLDER = Path(__file__).parent / "rules"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """What becomes of operators of some kinds."""

    operators: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names as the format has them; `*` is all of them."""
    takes: tuple[Text, ...] | None = None
    """Types that they read (`Kind.takes`); null is any."""
    gives: tuple[Text, ...] | None = None
    """Types that they write; null is any."""
    weighted: bool | None = None
    """Whether they hold weights; null is any."""
    detail: str | None = None
    """`Kind.detail`; null is any."""
    verdict: Verdict
    note: str = ""
    """What happens instead, in a few words."""
    version: Text
    """Of the runtime that it was seen with."""
    source: Text
    """An address, or the command that measured it here."""

    def fits(self, kind: Kind) -> bool:
        """Whether the rule is about such operators."""
        return (
            ("*" in self.operators or kind.name in self.operators)
            and (self.takes is None or kind.takes in self.takes)
            and (self.gives is None or kind.gives in self.gives)
            and self.weighted in (None, kind.weighted)
            and self.detail in (None, kind.detail)
        )


class Expectation(_Strict):
    """When int8 pays: the first one whose conditions all hold decides; where none does, that is unknown."""

    int8: Literal["faster", "slower"]
    when: Annotated[
        dict[Literal["pieces", "native_macs", "converted", "elements"], tuple[float, float]], Field(min_length=1)
    ]
    """Smallest and largest value of what `predicting.Features` says; both belong to it."""
    version: Text
    source: Text


class Rules(_Strict):
    """All that is known of one runtime on one kind of device."""

    title: Text
    backend: Text
    kinds: tuple[Text, ...]
    """Kinds of targets on which that backend is run by it, as openvino_npu where it is one accelerator of a kind."""
    cuts: bool = False
    """Whether it takes pieces out of the graph, with all else computed by another one."""
    rules: tuple[Rule, ...]
    expectations: tuple[Expectation, ...] = ()

    def rule(self, kind: Kind) -> Rule | None:
        """What is known of such operators; None where nothing is."""
        return next((rule for rule in self.rules if rule.fits(kind)), None)

    def verdict(self, kind: Kind) -> Verdict:
        """The rule's verdict, or unknown."""
        found = self.rule(kind)
        return found.verdict if found else "unknown"


@cache
def all_rules() -> dict[str, Rules]:
    """Every file of rules by its name. Raises RecipeError where one is not as it should be."""
    return {path.stem: validate(yaml_document.read(path), Rules) for path in sorted(_FOLDER.glob("*.yaml"))}


def rules_of(kind: str, backends: Sequence[str]) -> dict[str, tuple[str, Rules]]:
    """By backend, the name and the rules of what runs it on targets of a kind; without those of which nothing is known."""
    return {
        rules.backend: (name, rules)
        for name, rules in all_rules().items()
        if kind in rules.kinds and rules.backend in backends
    }
