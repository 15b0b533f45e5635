"""`edgetl predict`: what a bundle says about pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.api.boundary import boundary
from edgetl.api.bundle import Bundle, open_bundle
from edgetl.api.paths import AnyPath, expanded, require_writable, write_text
from edgetl.api.pictures import Pictures, find_pictures
from edgetl.api.prediction_table import table
from edgetl.api.recipes import warn_of_stand_in
from edgetl.console.events import Listener, reporting_to
from edgetl.console.progress import Progress
from edgetl.data.readers.endings import SUFFIXES
from edgetl.errors import DataError, UnreadableImage, UsageError
from edgetl.runtime.predicting import Prediction

__all__ = ["PredictResult", "collected", "predict", "predictions", "table_place"]

_OPTION = "--csv"


@dataclass(frozen=True)
class PredictResult:
    """What a bundle says about pictures.

    results: of each picture, in their order: a prediction, or an error where it could not be read.
    labels: the classes. flags: the names of the operating points.
    left_out: how many files of folders and patterns do not end as pictures do, by their ending ("" for none).
    """

    results: tuple[Prediction | UnreadableImage, ...]
    labels: tuple[str, ...]
    flags: tuple[str, ...]
    left_out: Mapping[str, int]

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Of those that could be read, in their order."""
        return tuple(result for result in self.results if isinstance(result, Prediction))

    @property
    def unreadable(self) -> tuple[UnreadableImage, ...]:
        """An error for each of the others."""
        return tuple(result for result in self.results if isinstance(result, UnreadableImage))

    def to_csv(self) -> str:
        """A table, a row a picture: file, label, p_LABEL of each class, each operating point as 0 or 1, error."""
        return table(self.results, self.labels, self.flags)

    @boundary
    def write_csv(self, path: AnyPath, *, force: bool = False) -> Path:
        """Write that table, all of it or nothing; `force` overwrites a file.

        Raises:
            UsageError: it is there already, its folder is not, or it has a picture's name.
            EnvironmentFault: it cannot be written.
        """
        place = table_place(path, force=force)
        # Names that are no text (POSIX) are written as the bytes they are.
        write_text(place, self.to_csv().encode("utf-8", "surrogateescape"), _OPTION)
        return place

    def raise_on_problems(self) -> None:
        """Raise DataError where a picture could not be read."""
        if self.unreadable:
            raise DataError(f"{len(self.unreadable)} of {len(self.results)} pictures could not be read")


@boundary
def predict(
    bundle: AnyPath,
    files: AnyPath | Iterable[AnyPath],
    *,
    artifact: str | None = None,
    csv: AnyPath | None = None,
    force: bool = False,
    progress: Listener = None,
) -> PredictResult:
    """Label pictures: the most probable label, the probability of each, and the operating points that are reached.

    Args:
        bundle: a bundle's folder.
        files: one or several of: a picture; a folder, for every picture below it; as text, a pattern such as
            "scans/**/*.png", or "@list.txt" for a file with a path a line. What is named twice is predicted once; a
            broken picture costs its own result, not those of the others.
        artifact: with this one; the first whose runtime is installed without it.
        csv: where the result is written as a table, whole and at the end, as `PredictResult.write_csv` does.
        force: overwrite it.
        progress: what is told how far it is; nobody without it.

    Raises:
        UsageError: there is no bundle, or no such list, or nothing matches a pattern, or `csv` is there already.
        EnvironmentFault: `csv` cannot be written.
        DataError: a folder holds no pictures.
        IntegrityError: the bundle is damaged, or has no such artefact.
        MissingRuntime: the artefact's runtime, or every one, is not installed.
    """
    if csv is not None:
        table_place(csv, force=force)
    opened = open_bundle(bundle, artifact=artifact)
    pictures = find_pictures(files)
    with reporting_to(progress) as reporter:
        warn_of_stand_in(opened.manifest, reporter.warn)
        result = collected(opened, pictures, predictions(opened, pictures, reporter))
    if csv is not None:
        result.write_csv(csv, force=force)
    return result


def predictions(bundle: Bundle, pictures: Pictures, progress: Progress) -> Iterator[Prediction | UnreadableImage]:
    """One picture after the other, as they are computed; for one that cannot be read the error instead."""
    for done, file in enumerate(pictures.files, start=1):
        try:
            result: Prediction | UnreadableImage = bundle.predict(file)
        except UnreadableImage as exc:
            result = exc
        progress.advance("predict", done, len(pictures.files))
        yield result


def collected(bundle: Bundle, pictures: Pictures, results: Iterable[Prediction | UnreadableImage]) -> PredictResult:
    """What `predictions` gave, with what a table of it needs."""
    flags = dict.fromkeys(point.flag for point in bundle.operating_points)
    return PredictResult(tuple(results), bundle.labels, tuple(flags), pictures.left_out)


def table_place(path: AnyPath, *, force: bool) -> Path:
    """Where a table can be written; to be asked before anything is predicted. Raises as `PredictResult.write_csv`."""
    place = expanded(path)
    if (
        place.suffix.lower() in SUFFIXES
    ):  # a pattern that a shell expanded, behind --csv: --force must not cost a picture
        raise UsageError("a table with the name of a picture", place=str(place), hint=f"{_OPTION} FILE.csv")
    require_writable(place, force=force, option=_OPTION)
    return place
