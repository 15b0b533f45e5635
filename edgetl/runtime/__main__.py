"""What a device is asked to do: the result on stdout, everything else on stderr.

Exit codes are edgetl's: 0 ok, 2 usage or an unreadable picture, 3 a missing package, 4 device, 5 integrity, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import text
from .accelerators import Accelerator
from .arrays import pixels_of
from .backends import BACKENDS
from .cores import usable_cores
from .errors import EdgetlError, IntegrityError, MissingRuntime, UnreadableImage
from .golden import known
from .loading import load, runtimes_of
from .manifest import NAME, Artifact, Manifest
from .measuring import measure
from .serving import serve_artifact
from .subjects import Failure
from .sustained import sustain
from .verifying import verify
from .workers import local_worker


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, or that of the error's class."""
    parsed = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that is not UTF-8 is no reason to stop
    try:
        code: int = parsed.command(parsed)
    except EdgetlError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def _predict(parsed: argparse.Namespace) -> int:
    """A broken picture costs its own result, and the exit code."""
    code = 0
    with load(
        parsed.bundle,
        parsed.artifact,
        threads=parsed.threads,
        accelerator=parsed.accelerator,
        accelerator_options=parsed.accelerator_options,
        allow_fallback=parsed.allow_fallback,
    ) as model:
        for file in parsed.files:
            try:
                prediction = model.predict(pixels_of(file))
            except UnreadableImage as exc:
                print(f"error: {exc}", file=sys.stderr)
                code = exc.exit_code
                continue
            prediction = replace(prediction, file=str(file))
            _print(prediction.to_json() if parsed.json else text.of_prediction(prediction))
    return code


def _bench(parsed: argparse.Namespace) -> int:
    manifest = Manifest.load(parsed.bundle)
    artifacts = [manifest.artifact(name) for name in parsed.artifact] or _runnable(manifest, parsed.bundle)
    for artifact in artifacts:
        manifest.intact(parsed.bundle, artifact)
    plan = [local_worker(parsed.bundle, artifact, parsed.threads, _accelerator(parsed)) for artifact in artifacts]
    expected = {artifact.name: known(parsed.bundle, manifest, artifact) for artifact in artifacts}
    if parsed.sustained:
        lasted = sustain(plan, parsed.sustained, parsed.seed, known=expected)
        _print(lasted.to_json() if parsed.json else text.of_sustained(lasted))
        return max((failure.exit_code for failure in lasted.failures), default=0)
    results = measure(plan, "full" if parsed.full else "quick", parsed.seed, known=expected)
    _print([result.to_json() for result in results] if parsed.json else text.of_measurements(results))
    return max((result.exit_code for result in results if isinstance(result, Failure)), default=0)


def _runnable(manifest: Manifest, bundle: Path) -> list[Artifact]:
    """Those whose runtime is installed; the others are named on stderr."""
    found, missing = [], {}
    for artifact in manifest.artifacts:
        try:
            BACKENDS[artifact.backend].version()
            found.append(artifact)
        except MissingRuntime as exc:
            missing[artifact.name] = exc.message
    for name, reason in missing.items():
        print(f"{name} skipped: {reason}", file=sys.stderr)
    if not found:
        raise _nothing_runs("measured", bundle, manifest)
    return found


def _nothing_runs(done: str, bundle: Path, manifest: Manifest) -> MissingRuntime:
    return MissingRuntime(
        f"no artefact could be run, so nothing was {done}",
        place=str(bundle),
        hint=f"pip install one of {', '.join(runtimes_of(manifest))}",
    )


def _selftest(parsed: argparse.Namespace) -> int:
    checks = verify(parsed.bundle, parsed.threads)
    _print([check.to_json() for check in checks] if parsed.json else text.of_checks(checks))
    if any(check.passed is False for check in checks):
        return IntegrityError.exit_code
    if not any(check.passed for check in checks if check.check == "outputs"):
        raise _nothing_runs("tested", parsed.bundle, Manifest.load(parsed.bundle))
    return 0


def _info(parsed: argparse.Namespace) -> int:
    runtimes: dict[str, str | None] = {}
    accelerators: dict[str, tuple[str, ...]] = {}
    for backend, runtime in BACKENDS.items():
        try:
            runtimes[backend], accelerators[backend] = runtime.version(), runtime.there()
        except MissingRuntime:
            runtimes[backend] = None
    system = {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}
    found = {**system, "cores": usable_cores(), "runtimes": runtimes, "accelerators": accelerators}
    _print(found if parsed.json else text.of_device(found))
    return 0


def _worker(parsed: argparse.Namespace) -> int:
    serve_artifact(parsed.path, parsed.backend, parsed.threads, parsed.options, _accelerator(parsed))
    return 0


def _accelerator(parsed: argparse.Namespace) -> Accelerator:
    return Accelerator(parsed.accelerator, parsed.accelerator_options, parsed.allow_fallback)


def _print(content: Any) -> None:
    """Text as it is, for people; all else as one line of JSON."""
    print(content if isinstance(content, str) else json.dumps(content), flush=True)


def _folder(given: str) -> Path:
    """A bundle's, where its bundle.json is given too."""
    place = Path(given)
    return place.parent if place.name == NAME else place


def _options(given: str) -> dict[str, str]:
    try:
        options = json.loads(given)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"got {given!r}, expected a JSON object: {exc}") from exc
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise argparse.ArgumentTypeError(f"got {given!r}, expected a JSON object of strings")
    return options


def _positive(given: str) -> int:
    if not given.isdecimal() or int(given) < 1:
        raise argparse.ArgumentTypeError(f"got {given!r}, expected a whole number of at least 1")
    return int(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    commands = parser.add_subparsers(required=True)

    predicting = commands.add_parser("predict", help="label, probabilities and reached operating points of pictures")
    predicting.add_argument("bundle", type=Path, help="a bundle's folder, or one model file of it")
    predicting.add_argument("files", type=Path, nargs="+", help="pictures; or .npy files with uint8 [height, width, 3]")
    predicting.add_argument("--artifact", help="the first whose runtime is installed without it")
    predicting.set_defaults(command=_predict)

    measuring = commands.add_parser("bench", help="latency of a bundle's artefacts, interleaved")
    measuring.add_argument("bundle", type=_folder)
    measuring.add_argument("--artifact", action="append", default=[], help="may be given again; all without it")
    measuring.add_argument("--full", action="store_true", help="at least 1024 runs and 60 s each, not 100 runs")
    measuring.add_argument("--sustained", type=_positive, metavar="MINUTES", help="under lasting load, by the minute")
    measuring.add_argument("--seed", type=int, default=0)
    measuring.set_defaults(command=_bench)

    testing = commands.add_parser("selftest", help="hashes and golden vectors; exit code 5 when one is wrong")
    testing.add_argument("bundle", type=_folder)
    testing.set_defaults(command=_selftest)

    info = commands.add_parser("info", help="this device, its runtimes and accelerators")
    info.set_defaults(command=_info)
    for command in (predicting, measuring, testing, info):
        command.add_argument("--json", action="store_true", help="JSON, for programs: of predict one object a picture")

    worker = commands.add_parser("worker", help="for programs: load one model and run it when told to on stdin")
    worker.add_argument("--path", type=Path, required=True)
    worker.add_argument("--backend", choices=sorted(BACKENDS), required=True)
    worker.add_argument("--options", type=_options, default={}, help="JSON object of the runtime's options")
    worker.set_defaults(command=_worker)
    for command in (worker, predicting, measuring, testing):
        command.add_argument("--threads", type=_positive, default=1)
    for command in (worker, predicting, measuring):
        command.add_argument("--accelerator", default="cpu", help="cuda, tensorrt, gpu, npu: what `info` lists")
        command.add_argument("--accelerator-options", type=_options, default={}, help="JSON object of its options")
        command.add_argument("--allow-fallback", action="store_true", help="let the CPU compute what it does not")
    return parser


if __name__ == "__main__":
    sys.exit(main())
