"""What the page and the card say in sentences: what was built, how far to trust it, what it does not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from edgetl.report.recommending import first_target, recommended, slower_int8
from edgetl.report.view import headline, one_image_latency
from edgetl.report.words import listed, percent, size, title
from edgetl.results.report import Report, Untrained
from edgetl.results.training import KeptEpoch

__all__ = ["grouping", "headline_reason", "limits", "story", "trainings", "trial", "unlabelled", "unpruned"]

_FEW_IMAGES = 30


def story(report: Report) -> list[str]:
    """What was built, in three sentences."""
    recipe, data = report.shown_recipe, report.data
    attention = recipe.student.attention
    network = recipe.student.backbone + (f" with {attention} attention" if attention not in (None, "none") else "")
    pixels = recipe.data.image_size
    of = f" of {sum(split.groups for _, split in data.splits):,} groups" if data.has_groups else ""
    first = (
        f"From {data.images:,} labelled images{of} this build made a classifier of {len(data.classes)} classes: "
        f"a {network} that looks at {pixels} × {pixels} pixels."
    )
    pruned = f", pruning kept about {percent(recipe.prune.macs, 0)} of its multiplications" if recipe.prune else ""
    formats = list(dict.fromkeys(title(artifact.backend) for artifact in report.artifacts))
    second = (
        f"{_taught(recipe.teachers, report.trial.chosen_weight)}{pruned}, and it was exported to {listed(formats)}."
    )
    return [first, second, _result(report)]


def unlabelled(report: Report) -> str:
    """What further pictures the student learned from, and what nobody can know of them; empty where there are none."""
    found = report.unlabelled
    if found is None:
        return ""
    left = (
        f"; {len(found.left_out):,} that show a picture of validation or test were left out" if found.left_out else ""
    )
    used = "The student learned" if report.trial.chosen_weight else "A candidate for the student learned"
    return (
        f"{used} what the teacher says of {found.images:,} unlabelled images too{left}. Whether others of them show a patient "
        "of validation or test cannot be known."
    )


def _taught(teachers: Sequence[str], weight: float) -> str:
    if not teachers:
        return "It learned from the labels alone"
    names = listed([f"{count} × {name}" if count > 1 else name for name, count in Counter(teachers).items()])
    if weight == 0:
        return f"It learned from the labels alone, not from {names}"
    return f"A {names} taught it" if len(teachers) == 1 else f"The average of {names} taught it"


def _result(report: Report) -> str:
    artifact = headline(report)
    if artifact is None:
        return "No artefact was made."
    sentence = (
        f"On {report.data.splits.test.images:,} test images that no training saw, the file {artifact.name} "
        f"({size(artifact.bytes)}) reaches a balanced accuracy of "
        f"{percent(artifact.metrics['balanced_accuracy'].value)}"
    )
    latency = one_image_latency(report, artifact)
    if latency is None:
        return sentence + "; its latency was not measured."
    threads = "one thread" if latency.threads == 1 else f"{latency.threads} threads"
    time = f"{latency.p50_ms:.3g} ms for an image on {latency.target} with {threads}"
    return f"{sentence} and takes {time} ({latency.origin})."


def trial(report: Report) -> str:
    """How the weight of the teacher's loss was chosen, and what such a trial cannot see; empty where none was made."""
    tried = report.trial
    if not tried.candidates:
        return ""
    passes = f"{tried.epochs} epoch{'s' * (tried.epochs != 1)}"
    if not report.shown_recipe.teachers:
        return f"There is no teacher to weigh. Pruning started from a training of {passes} on labels alone."
    if len(tried.candidates) == 1:
        return (
            f"The weight of the teacher's loss is {tried.chosen_weight:g}: the recipe gives no other one. "
            f"Pruning started from a training of {passes} with it."
        )
    return (
        f"How much the teacher counts was chosen on validation among {len(tried.candidates)} weights of its loss, after a "
        f"trial of {passes} with each: {tried.chosen_weight:g}. So short a trial sees only how a training begins."
    )


def unpruned(report: Report) -> str:
    """What is missing beside the pruned network; empty where nothing is."""
    prune = report.shown_recipe.prune
    if prune is None or prune.reference:
        return ""
    return "No unpruned network was trained as long (prune.reference: false): what pruning costs was not measured."


def headline_reason(report: Report) -> str:
    """Why the page leads with this artefact, in words."""
    artifact = headline(report)
    if artifact is None:
        return ""
    if recommended(report):
        return f"the recommended one, the quickest on {first_target(report)} of the files that pass every gate"
    if artifact.name in {gate.subject for gate in report.not_passed("fail")}:
        return "the quickest file; all of them failed a gate"
    return "the quickest file without a failed gate; none passes them all with its latency measured"


def trainings(report: Report) -> list[str]:
    """How long each network was trained and which epoch is kept, a sentence each."""
    return [
        f"{title(model.name)}: {_kept(model.training.kept)}"
        for model in report.models
        if not isinstance(model.training, Untrained)
    ]


def _kept(kept: KeptEpoch) -> str:
    epochs = f"{kept.trained} of {kept.planned} epochs" if kept.trained < kept.planned else f"{kept.trained} epochs"
    looked = f"{epochs}, of which {kept.validated} were validated" if kept.validated < kept.trained else epochs
    noise = f"(standard error {kept.standard_error:.4f})"
    if kept.best == kept.trained:
        return f"{looked}; the last one is kept, which scored best on validation."
    if kept.epoch == kept.best:
        return f"{looked}; epoch {kept.best} is kept, since it leads the last one by {kept.lead:.4f}, more than noise {noise}."
    return f"{looked}; the last one is kept: epoch {kept.best} leads it by {kept.lead:.4f}, no more than noise {noise}."


def grouping(report: Report) -> str:
    """What keeps the splits apart, in one sentence."""
    if shared := len(report.data.leaks.groups):
        return f"{shared} lesions or patients have images in more than one split: every accuracy here is optimistic."
    if report.data.has_groups:
        return "Images of one lesion or patient are in one split only."
    return (
        "The source does not say which images show the same lesion or patient: the split may leak, and every accuracy "
        "and interval here is optimistic."
    )


def limits(report: Report) -> list[str]:
    """What this evidence does not show, most important first."""
    data = report.data
    cautions = []
    if report.stand_in:
        cautions.append(
            f"The images are a stand-in ({report.stand_in}), drawn by a program: nothing here says how the model "
            "does on patients."
        )
    cautions.append(
        "Research software, not a medical device: it was not validated for diagnosis, and its probabilities are no "
        "medical advice."
    )
    cautions.append(
        "Training and test images come from the same source; another camera, clinic or population can be worse."
    )
    if not data.has_groups:
        cautions.append(
            "The source does not say which images show the same lesion or patient: accuracies and their intervals are "
            "optimistic."
        )
    few = [label for label, images in data.splits.test.classes.items() if images < _FEW_IMAGES]
    if few:
        cautions.append(
            f"The test split has fewer than {_FEW_IMAGES} images of {listed(few)}: intervals are wide there, and one "
            "image moves balanced accuracy visibly."
        )
    if missing := unpruned(report):
        cautions.append(missing)
    return [*cautions, *_latency_limits(report)]


def _latency_limits(report: Report) -> Iterator[str]:
    for each in report.unmeasured:
        if each.left_out:
            yield f"{each.name} was not measured on {each.target}: {each.reason}."
            continue
        threads = "one thread" if each.threads == 1 else f"{each.threads} threads"
        yield f"{each.name} could not be measured on {each.target} with {threads}: {each.reason}."
    rows = [row for entry in report.entries for row in entry.latency]
    if not rows:
        yield "Latency was not measured."
        return
    for pair in slower_int8(report):
        yield f"Slow int8: {pair.sentence()}."
    if any(row.mode == "quick" for row in rows):
        yield "Latency was measured in quick mode (about a hundred runs each); edgetl bench repeats it at length."
    if other := sorted({row.origin for row in rows} - {"measured"}):
        emulated = " Emulated: times are not device times." if "emulated" in other else ""
        yield f"Some latencies are {listed(other)}, not measured; they are marked so.{emulated}"
    if any(row.noisy for row in rows):
        yield "Latencies marked noisy varied while they were measured: compare them with care."
    yield "Latency holds for the named machine; phones differ from it and from each other."
