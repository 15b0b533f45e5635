"""Opens a model for predicting: an artefact of a bundle, or one file that some bundle.json vouches for.

What a native loader is given was looked at before: bundle.json is strict and consistent (sizes of input and output among
it), the files are plain ones with the bytes and the sha256 that it says, and nothing unlisted lies beside them. Only the
ends that the loaded model itself has can be compared afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from .accelerators import Accelerator
from .backends import BACKENDS
from .bundle_files import Place, digest, plain_file, stem_and_ending
from .errors import IntegrityError, MissingRuntime, UsageError
from .manifest import NAME, Artifact, Manifest
from .predicting import Model
from .sessions import open_file

__all__ = ["load", "runtimes_of"]


def load(
    source: Place,
    artifact: str | None = None,
    *,
    threads: int = 1,
    accelerator: str = "cpu",
    accelerator_options: Mapping[str, str] | None = None,
    allow_fallback: bool = False,
    manifest: Place | None = None,
) -> Model:
    """Load one artefact.

    Args:
        source: a bundle's folder, or one model file. Labels, preprocessing, thresholds and the sha256 of a file are those
            of the bundle.json that knows it: the one beside it, the one in the folder above, or `manifest`.
        artifact: its name in the bundle. None takes the recommended one, or else the first of the bundle, whose runtime
            is installed and has the accelerator; of a file it need not be said.
        threads: for the runtime.
        accelerator: what computes: cpu; cuda or tensorrt with ONNX Runtime; gpu or npu with OpenVINO.
        accelerator_options: the runtime's own for it: of ONNX Runtime's provider, or properties of OpenVINO's device.
        allow_fallback: let the CPU compute what the accelerator does not, all of it where it is not there;
            `Model.describe` then says what computes.
        manifest: for a file, the bundle that it is from, or a copy of its bundle.json.

    Raises:
        IntegrityError: the bundle is damaged or has no such artefact, the file is none that the bundle.json knows, or what
            lies beside it cannot be listed.
        MissingRuntime: the artefact's runtime, or every one, is not installed.
        MissingAccelerator: the runtime has no such accelerator here, or it does not compute the whole model.
        UsageError: the arguments contradict each other, or the path is not UTF-8.
    """
    place, asked = os.fsdecode(source) or ".", Accelerator(accelerator, accelerator_options or {}, allow_fallback)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise UsageError(f"got {threads!r} threads, expected a whole number of at least 1", place=place)
    if os.path.basename(place) == NAME:
        place = os.path.dirname(place) or "."
    if not os.path.isfile(place):
        if manifest is not None:
            raise UsageError(
                f"got manifest {str(manifest)!r} for what is no file, expected none", place=place, hint=_SOURCE
            )
        known = Manifest.load(place)
        chosen = known.artifact(artifact) if artifact else _first_installed(known, asked)
        path = known.intact(place, chosen)
    else:
        known, chosen = _known_file(place, artifact, manifest)
        path = known.intact(os.path.dirname(place), chosen)
    return Model(known, chosen, open_file(path, known, chosen, threads, asked))


_SOURCE = f"load a bundle's folder, or a model file with manifest= a bundle or its {NAME}"


def runtimes_of(manifest: Manifest) -> list[str]:
    """What pip can install to run a bundle: distributions, any of which is enough."""
    backends = dict.fromkeys(artifact.backend for artifact in manifest.artifacts)
    return [BACKENDS[backend].distribution for backend in backends]


def _first_installed(manifest: Manifest, asked: Accelerator) -> Artifact:
    """Of the bundle's artefacts; where none has the accelerator, and the CPU may do, the first that is installed."""
    there: dict[str, tuple[str, ...] | None] = {}
    for artifact in manifest.preferred:
        if artifact.backend not in there:
            there[artifact.backend] = _there(artifact.backend, asked)
        if asked.name in (there[artifact.backend] or ()):
            return artifact
    installed = [artifact for artifact in manifest.preferred if there[artifact.backend] is not None]
    if not installed:
        raise MissingRuntime(
            "none of the bundle's runtimes is installed",
            hint=f"pip install one of {', '.join(runtimes_of(manifest))}",
        )
    if asked.allow_fallback:
        return next((each for each in installed if asked.name in BACKENDS[each.backend].accelerators), installed[0])
    raise asked.missing(list(dict.fromkeys(name for names in there.values() for name in names or ())), manifest.name)


def _there(backend: str, asked: Accelerator) -> tuple[str, ...] | None:
    """What a runtime has here; None when it is not installed. The CPU is asked of none: that would load it for nothing."""
    try:
        if asked.name != "cpu":
            return BACKENDS[backend].there()
        BACKENDS[backend].version()
    except MissingRuntime:
        return None
    return ("cpu",)


def _known_file(file: str, name: str | None, manifest: Place | None) -> tuple[Manifest, Artifact]:
    """What a bundle.json says of a file, wherever the two lie; as if the file's folder were the bundle."""
    folder = _folder(file) if manifest is None else _folder_of(os.fsdecode(manifest) or ".")
    known = Manifest.read(folder)
    artifact = known.artifact(name) if name else _artifact_of(file, known, folder)
    paths = (artifact.path, *artifact.companions)
    # A runtime finds what belongs to a file beside it, under the file's own name.
    own = os.path.basename(file)
    stem = stem_and_ending(own)[0]
    names = [own, *(f"{stem}{stem_and_ending(os.path.basename(path))[1]}" for path in artifact.companions)]
    files = {**known.files, **{name: known.files[path] for name, path in zip(names, paths, strict=True)}}
    return replace(known, files=files), replace(artifact, path=names[0], companions=tuple(names[1:]))


def _folder(file: str) -> str:
    beside = os.path.dirname(file) or "."
    for folder in (beside, _above(beside)):
        if os.path.lexists(os.path.join(folder, NAME)):
            return folder
    raise IntegrityError(
        f"is a file without a {NAME}, expected one beside it or in the folder above",
        place=file,
        hint=f"{_SOURCE}: it has the labels, the preprocessing and the sha256",
    )


def _above(folder: str) -> str:
    """The folder that holds it, where the system finds it: behind a link that is not what the path says."""
    if os.path.basename(folder) in ("", os.curdir, os.pardir) or os.path.islink(folder):
        return os.path.join(folder, os.pardir)
    return os.path.dirname(folder) or "."


def _folder_of(manifest: str) -> str:
    if os.path.isdir(manifest):
        return manifest
    if os.path.basename(manifest) != NAME:
        raise UsageError(f"is no bundle, expected a folder with a {NAME}, or that file", place=manifest)
    return os.path.dirname(manifest) or "."


def _artifact_of(file: str, manifest: Manifest, folder: str) -> Artifact:
    """By its name, whose sha256 `Manifest.intact` holds it against; by its sha256 where it was renamed."""
    for artifact in manifest.artifacts:
        if artifact.path.rpartition("/")[2] == os.path.basename(file):
            return artifact
    got = digest(plain_file(*os.path.split(file)))
    for artifact in manifest.artifacts:
        if artifact.sha256 == got:
            return artifact
    raise IntegrityError(
        f"sha256 is {got[:12]}..., expected that of an artefact of {os.path.join(folder, NAME)}",
        place=file,
        hint=f"that bundle has: {', '.join(artifact.name for artifact in manifest.artifacts)}",
    )
