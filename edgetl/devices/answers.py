"""What artefacts say of pictures on a device, through the same workers that are timed there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.config.target import Target
from edgetl.devices import open_device
from edgetl.devices.latency import able
from edgetl.results.latency import Unmeasured
from edgetl.runtime.errors import WorkerError
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.subjects import Subject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TENSORS = "tensors.npy"
_AT_ONCE = 64


def answers(
    target: Target,
    bundle: Path,
    artifacts: Sequence[Artifact],
    tensors: Path,
    count: int,
    advance: Callable[[str, int, int], None],
) -> tuple[dict[str, npt.NDArray[np.float32]], list[Unmeasured]]:
    """Bring tensors to a device and run every artefact on them, with the most threads that the target has.

    Args:
        tensors: a folder with nothing but `TENSORS`, uint8 [count, H, W, 3].

    Returns:
        Probabilities float32 [count, C] by artefact, and the artefacts that failed.

    Raises:
        DeviceError: the device is not there.
    """
    everything = [(bundle, artifact) for artifact in artifacts]
    able(target, everything)
    found: dict[str, npt.NDArray[np.float32]] = {}
    failed: list[Unmeasured] = []
    with closing(open_device(target)) as device:
        threads = max(device.threads())
        artifacts = [artifact for _, artifact in able(target, everything)]  # it may tell more once it is there
        there, pictures = device.push(bundle), device.push(tensors, keep=False) / TENSORS
        for number, artifact in enumerate(artifacts):

            def said(done: int, number: int = number) -> None:
                advance(f"evaluate on {target.name}", number * count + done, len(artifacts) * count)

            with Subject(device.worker(there, artifact, threads)) as subject:
                subject.start()
                if subject.failure is None:
                    with subject.failing():
                        found[artifact.name] = _rows(subject, str(pictures), count, said)
            if subject.failure:
                failed.append(Unmeasured(artifact.name, target.name, threads, subject.failure.reason, disagrees=False))
    return found, failed


def _rows(subject: Subject, path: str, count: int, said: Callable[[int], None]) -> npt.NDArray[np.float32]:
    import numpy as np

    rows: list[list[float]] = []
    while len(rows) < count:
        answer = subject.running.outputs(path, len(rows), min(_AT_ONCE, count - len(rows)))
        if answer is None:
            raise WorkerError("gives no outputs, so its accuracy there is not known", place=subject.worker.name)
        rows += answer
        said(len(rows))
    probabilities = np.array(rows, np.float32)
    if not np.isfinite(probabilities).all():
        raise WorkerError("gives numbers that are not finite", place=subject.worker.name)
    return probabilities
