"""Files that converters really write and runtimes really refuse, tried as a build tries them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tiny_models
import torch
from torch import nn

from edgetl.backends import tflite
from edgetl.backends.trial_run import works
from edgetl.errors import ArtifactError

Images = npt.NDArray[np.uint8]


def _images(count: int = 8) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("backend", list(tiny_models.WRITERS))
class TestEachRuntime:
    def file(self, backend: str, folder: Path) -> Path:
        return tiny_models.WRITERS[backend](folder / f"{backend}-fp32{tiny_models.SUFFIXES[backend]}")

    def test_a_file_that_works(self, backend: str, tmp_path: Path) -> None:
        works(self.file(backend, tmp_path), backend, np.concatenate([tiny_models.image(seed) for seed in range(4)]))

    def test_a_file_that_was_cut_off(self, backend: str, tmp_path: Path) -> None:
        path = self.file(backend, tmp_path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ArtifactError, match=rf"^{backend}-fp32: (does not load in|crashes)") as caught:
            works(path, backend, tiny_models.image())
        assert str(tmp_path) not in str(caught.value)
        assert caught.value.exit_code == 1

    def test_images_of_another_size(self, backend: str, tmp_path: Path) -> None:
        with pytest.raises(
            ArtifactError, match=rf"^{backend}-fp32: does not run: ValueError: got uint8 \[1, 32, 32, 3\]"
        ):
            works(self.file(backend, tmp_path), backend, _images(1))


class _LinearAttention(nn.Module):
    """Divides by what rounds to 0 in 8 bits, as the attention of EfficientViT does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, key = torch.relu(self.stem(x)).chunk(2, 1)
        weighted = (value / (key * key + 1e-6)).clamp(max=1)
        logits: torch.Tensor = self.head((value + weighted).mean((2, 3)))
        return logits


class TestDivision:
    def network(self) -> nn.Module:
        torch.manual_seed(0)
        return _LinearAttention().eval()

    def quantized(self, folder: Path) -> Path:
        exported = tflite.export(self.network(), 32, folder, "tflite-fp32")
        return tflite.quantize(self.network(), exported, _images(), folder, "tflite-int8")

    def test_stays_in_float_and_works(self, tmp_path: Path) -> None:
        works(self.quantized(tmp_path), "tflite", _images(4))

    def test_in_8_bits_is_refused_by_its_runtime_and_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tflite, "LEFT_FLOAT", ("HARD_SWISH", "GELU"))
        path = self.quantized(tmp_path)
        with pytest.raises(ArtifactError, match=r"^tflite-int8: does not run in ai-edge-litert: .*\(DIV\)"):
            works(path, "tflite", _images(4))
