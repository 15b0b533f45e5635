"""`edgetl predict`: what a bundle says about pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgetl.api.boundary import boundary
from edgetl.api.bundle import Bundle, open_bundle
from edgetl.api.paths import AnyPath
from edgetl.errors import DataError, UnreadableImage
from edgetl.runtime.predicting import Prediction

__all__ = ["PredictResult", "collected", "predict", "predictions"]


@dataclass(frozen=True)
class PredictResult:
    """What a bundle says about pictures.

    predictions: of those that could be read, in their order.
    unreadable: an error for each of the others.
    """

    predictions: tuple[Prediction, ...]
    unreadable: tuple[UnreadableImage, ...]

    def raise_on_problems(self) -> None:
        """Raise DataError where a picture could not be read."""
        if self.unreadable:
            count = len(self.predictions) + len(self.unreadable)
            raise DataError(f"{len(self.unreadable)} of {count} pictures could not be read")


@boundary
def predict(bundle: AnyPath, files: AnyPath | Sequence[AnyPath], *, artifact: str | None = None) -> PredictResult:
    """Label pictures: the most probable label, the probability of each, and the operating points that are reached.

    Args:
        bundle: a bundle's folder.
        files: one picture, or several; a broken one costs its own result, not those of the others.
        artifact: with this one; the first whose runtime is installed without it.

    Raises:
        UsageError: there is no bundle.
        IntegrityError: it is damaged, or has no such artefact.
        MissingRuntime: the artefact's runtime, or every one, is not installed.
    """
    several = [files] if isinstance(files, str) or not isinstance(files, Sequence) else files
    return collected(predictions(open_bundle(bundle, artifact=artifact), several))


def predictions(bundle: Bundle, files: Sequence[AnyPath]) -> Iterator[Prediction | UnreadableImage]:
    """One picture after the other, as they are computed; for one that cannot be read the error instead."""
    for file in files:
        try:
            yield bundle.predict(file)
        except UnreadableImage as exc:
            yield exc


def collected(results: Iterable[Prediction | UnreadableImage]) -> PredictResult:
    """What `predictions` gave, sorted into what is known and what is not."""
    known: list[Prediction] = []
    unreadable: list[UnreadableImage] = []
    for result in results:
        if isinstance(result, Prediction):
            known.append(result)
        else:
            unreadable.append(result)
    return PredictResult(tuple(known), tuple(unreadable))
