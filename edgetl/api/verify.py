"""`edgetl verify`: does a bundle, on this machine, compute what the build computed?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.errors import EnvironmentFault, IntegrityError
from edgetl.runtime import verifying
from edgetl.runtime.loading import runtimes_of
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.verifying import Check

__all__ = ["Check", "VerifyResult", "verify"]


@dataclass(frozen=True)
class VerifyResult:
    """Every question that was asked of a bundle, with its answer."""

    bundle: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs, and at least one artefact could be run."""
        return not self._failed() and self._was_run()

    def to_json(self) -> list[dict[str, Any]]:
        """As `edgetl verify --json` prints it."""
        return [check.to_json() for check in self.checks]

    def raise_on_problems(self) -> None:
        """Raise IntegrityError where something differs, EnvironmentFault where no runtime is installed to find out."""
        if failed := self._failed():
            first = f"{failed[0].artifact or 'bundle'}: {failed[0].check}: {failed[0].detail}"
            raise IntegrityError(
                f"{len(failed)} of {len(self.checks)} checks failed, the first: {first}", place=str(self.bundle)
            )
        if not self._was_run():
            raise EnvironmentFault(
                "no artefact could be run, so nothing was verified",
                place=str(self.bundle),
                hint=f"pip install one of {', '.join(runtimes_of(Manifest.load(self.bundle)))}",
            )

    def _failed(self) -> list[Check]:
        return [check for check in self.checks if check.passed is False]

    def _was_run(self) -> bool:
        return any(check.passed for check in self.checks if check.check == "outputs")


@boundary
def verify(bundle: AnyPath) -> VerifyResult:
    """Hashes of all files, golden pictures to golden tensors, golden tensors to golden outputs on every runtime.

    Args:
        bundle: a bundle's folder.

    Raises:
        UsageError: there is no bundle.
        IntegrityError: its `bundle.json` cannot be used, so there is nothing to check against.
    """
    folder = bundle_folder(bundle)
    return VerifyResult(folder, tuple(verifying.verify(folder)))
