"""`python -m edgetl.runtime`: what a device is asked to do. JSON on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from .backends import BACKENDS
from .cores import usable_cores
from .errors import EdgetlError, MissingRuntime
from .manifest import Manifest
from .measuring import measure
from .predicting import open_predictor
from .serving import serve_artifact
from .verifying import verify
from .workers import local_worker


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, or that of the error's class."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
    except EdgetlError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def _worker(parsed: argparse.Namespace) -> int:
    serve_artifact(parsed.path, parsed.backend, parsed.threads, parsed.options)
    return 0


def _measure(parsed: argparse.Namespace) -> int:
    manifest = Manifest.load(parsed.bundle)
    artifacts = [manifest.artifact(name) for name in parsed.artifact] or manifest.artifacts
    for artifact in artifacts:
        manifest.intact(parsed.bundle, artifact)
    plan = [local_worker(parsed.bundle, artifact, parsed.threads) for artifact in artifacts]
    results = measure(plan, "full" if parsed.full else "quick", parsed.seed)
    _print([result.to_json() for result in results])
    return 0


def _predict(parsed: argparse.Namespace) -> int:
    predict = open_predictor(parsed.bundle, parsed.artifact, parsed.threads)
    for file in parsed.files:
        _print(predict(file).to_json())
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    checks = verify(parsed.bundle, parsed.threads)
    _print([check.to_json() for check in checks])
    return 5 if any(check.passed is False for check in checks) else 0


def _info(parsed: argparse.Namespace) -> int:
    runtimes: dict[str, str | None] = {}
    for backend, runtime in BACKENDS.items():
        try:
            runtimes[backend] = runtime.version()
        except MissingRuntime:
            runtimes[backend] = None
    system = {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}
    _print({**system, "cores": usable_cores(), "runtimes": runtimes})
    return 0


def _print(content: Any) -> None:
    print(json.dumps(content), flush=True)


def _options(text: str) -> dict[str, str]:
    try:
        options = json.loads(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a JSON object: {exc}") from exc
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a JSON object of strings")
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    commands = parser.add_subparsers(required=True)

    worker = commands.add_parser("worker", help="load one model and run it when told to on stdin")
    worker.add_argument("--path", type=Path, required=True)
    worker.add_argument("--backend", choices=sorted(BACKENDS), required=True)
    worker.add_argument("--options", type=_options, default={}, help="JSON object of the runtime's options")
    worker.set_defaults(command=_worker)

    measuring = commands.add_parser("measure", help="latency of a bundle's artefacts")
    measuring.add_argument("bundle", type=Path)
    measuring.add_argument("--artifact", action="append", default=[], help="may be given again; all without it")
    measuring.add_argument("--full", action="store_true", help="at least 1024 runs and 60 s each, not about 100 runs")
    measuring.add_argument("--seed", type=int, default=0)
    measuring.set_defaults(command=_measure)

    predicting = commands.add_parser("predict", help="labels and probabilities of pictures, one JSON object a line")
    predicting.add_argument("bundle", type=Path)
    predicting.add_argument("files", type=Path, nargs="+")
    predicting.add_argument("--artifact")
    predicting.set_defaults(command=_predict)

    verifying = commands.add_parser("verify", help="hashes and golden vectors; exit code 5 when one is wrong")
    verifying.add_argument("bundle", type=Path)
    verifying.set_defaults(command=_verify)

    info = commands.add_parser("info", help="this device and its runtimes")
    info.set_defaults(command=_info)
    for command in (worker, measuring, predicting, verifying):
        command.add_argument("--threads", type=_positive, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
