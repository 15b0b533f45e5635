"""A distribution that brings the same package counts, and is named."""

from __future__ import annotations

from importlib import metadata

import pytest

from edgetl.distributions import installed
from edgetl.store.entries import Dependencies


@pytest.fixture
def gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with onnxruntime-gpu in place of onnxruntime."""

    def version(name: str) -> str:
        if name == "onnxruntime-gpu":
            return "1.32.0"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.usefixtures("gpu_alone")
def test_another_distribution_of_the_package_counts_and_is_named() -> None:
    assert installed("onnxruntime") == "1.32.0 (onnxruntime-gpu)"
    key = Dependencies.of("export", 1, {}, {}, ["onnxruntime"])
    assert key.tools == {"onnxruntime": "1.32.0 (onnxruntime-gpu)"}


@pytest.mark.usefixtures("gpu_alone")
def test_what_is_not_there_is_named_as_it_was_asked_for() -> None:
    with pytest.raises(metadata.PackageNotFoundError, match="openvino"):
        installed("openvino")


def test_the_usual_one_is_its_version_alone() -> None:
    assert installed("numpy") == metadata.version("numpy")
