"""`edgetl check`: a recipe and its data, or data alone, looked at without training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import JsonOption, SetOption
from edgetl.commands.completion import complete_recipe, complete_target
from edgetl.commands.linted import lines as lint_lines
from edgetl.commands.pairs import ColumnsOption, columns_of

if TYPE_CHECKING:
    from edgetl.api.check import CheckResult, Proposal, Rehearsal, Survey

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("check")(_check)


def _check(
    recipe: Annotated[
        Path | None, typer.Argument(help="Recipe file (YAML).", show_default=False, autocompletion=complete_recipe)
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="KIND:ROOT", help="Data without a recipe.")] = None,
    columns: ColumnsOption = None,
    set_: SetOption = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Go the whole path too, with untrained networks.")
    ] = False,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target", metavar="T", help="Predict what it makes of the files.", autocompletion=complete_target
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a recipe and every picture of its data, without training. Exit code 2 when a build would stop."""
    from edgetl.api.check import check
    from edgetl.console.progress import Console

    with Console() as console:
        result = check(
            recipe,
            overrides=set_ or (),
            data=data,
            columns=columns_of(columns),
            rehearse=rehearse,
            targets=targets or (),
            progress=console,
        )
    print(json.dumps(result.to_json()) if as_json else "\n".join(_lines(result)))
    result.raise_on_problems()


def _lines(result: CheckResult) -> Iterator[str]:
    """The result for a person."""
    survey = result.survey
    some = survey.lone < survey.images
    known = f"{survey.groups} groups" if some else "groups unknown"
    yield f"{survey.images} images, {known}, {len(survey.classes)} classes"
    width = max(map(len, survey.classes))
    for name, count in survey.classes.items():
        groups = f"  {count.groups:>7} groups" if some else ""
        yield f"  {name:<{width}}  {count.images:>7} images{groups}"
    if survey.splits:
        yield f"prescribed splits: {', '.join(f'{name} {count}' for name, count in survey.splits.items())}"
    if result.unlabelled:
        yield f"{_count(result.unlabelled, 'unlabelled image')}; a build leaves out those that validation or test show"
    yield from _unreadable(survey)
    yield from _leaks(survey)
    yield from (f"warning: {caution}" for caution in survey.cautions)
    if survey.lone and some:
        yield (
            f"warning: {survey.lone} images have no group and count as one each: those of one lesion or patient may be in "
            "training and test, and every metric is then optimistic"
        )
    elif survey.lone:
        yield (
            "warning: nothing says which images show the same lesion or patient: they may be in training and test, and "
            "every metric is then optimistic"
        )
    if result.proposal:
        yield _proposed(result.proposal)
    if result.rehearsal:
        yield from _rehearsed(result.rehearsal)
    for linted in result.lint:
        yield from lint_lines(linted)


def _proposed(proposal: Proposal) -> str:
    name, images = proposal.example
    torn = f", {proposal.torn} of them in several prescribed splits" if proposal.torn else ""
    return (
        f"  names look as if they did: {proposal.images} images of {proposal.groups} groups{torn}, such as {name!r}: "
        f"{', '.join(images)}; if that is so: {proposal.hint}"
    )


def _rehearsed(rehearsal: Rehearsal) -> Iterator[str]:
    yield f"the whole path with untrained networks, in {rehearsal.seconds:.0f} s:"
    if rehearsal.pruning:
        yield f"  pruned to {rehearsal.pruning.reached:.2f} of the MACs  {rehearsal.pruning.seconds:.0f} s"
    for file in rehearsal.files:
        parity = f", at most {file.difference:.0e} from PyTorch" if file.difference is not None else ""
        said = file.problem or f"{file.bytes / 1e6:.1f} MB{parity}"
        yield f"  {file.name:<13} {said}  {file.seconds:.0f} s"
    for training in rehearsal.trainings:
        taught = ", with a teacher" if training.taught else ""
        memory = f", {training.peak_mb / 1000:.1f} GB" if training.peak_mb else ""
        yield f"  a step of {training.backbone}{taught}: {training.step_seconds:.2f} s for {training.batch_size} images{memory}"


def _unreadable(survey: Survey) -> Iterator[str]:
    if survey.unreadable:
        yield f"{_count(len(survey.unreadable), 'file')} cannot be read; repair or remove them:"
        yield from (f"  {file.image}: {file.reason}" for file in survey.unreadable)


def _leaks(survey: Survey) -> Iterator[str]:
    if survey.leaks.groups:
        yield f"{_count(len(survey.leaks.groups), 'group')} in two prescribed splits; move each to one side:"
        yield from _some(
            [f"{leak.group}: {', '.join(leak.splits)}: {_few(leak.images)}" for leak in survey.leaks.groups]
        )
    if survey.leaks.identical:
        apart = survey.splits and survey.leaks.across
        what = "remove all but one" if apart else "a build keeps each set in one split"
        yield f"{_count(len(survey.leaks.identical), 'set')} of byte-identical files; {what}:"
        yield from _some([_set(leak.images, leak.labels, leak.splits) for leak in survey.leaks.identical])
    if survey.leaks.near:
        what = (
            "leave out those in training or in test" if survey.leaks.near_across else "a build keeps each in one split"
        )
        sets = _count(len(survey.leaks.near), "set")
        yield f"{sets} of pictures from different groups that look like one photograph saved again; {what}:"
        yield from _some([_set(leak.images, leak.labels, leak.splits) for leak in survey.leaks.near])


def _set(images: Sequence[str], labels: Sequence[str], splits: Sequence[str]) -> str:
    contradict = f"  labels contradict: {', '.join(labels)}" if len(labels) > 1 else ""
    apart = f"  in {', '.join(splits)}" if len(splits) > 1 else ""
    return f"{_few(images, ' = ')}{contradict}{apart}"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"  ... and {len(lines) - _SHOWN} more (--json names all)"


def _few(images: Sequence[str], joint: str = ", ") -> str:
    return joint.join(images[:4]) + (f"{joint}... ({len(images)})" if len(images) > 4 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
