"""Several processes of a launcher train one network, and end together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_training
import torch
from tiny_training import tiny_network, train

RECIPE = """\
name: tiny
data: {kind: skin_phantom, images: 210, image_size: 32}
teacher: {backbone: mobilenetv3_small_050, weights: none, epochs: 1, batch_size: 32}
student: {backbone: mobilenetv3_small_050}
distil: {epochs: 1, batch_size: 32, weights: [1.0]}
quantize: null
export: [onnx]
"""

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this PyTorch was built without gloo, by which processes on a CPU talk",
)


_LAUNCHERS = {
    "torchrun": ("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    # The port 0 is any that is free.
    "accelerate": ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"),
}


def _launch(*words: str, cwd: Path, launcher: str = "torchrun") -> subprocess.CompletedProcess[str]:
    """Two processes."""
    command = [sys.executable, "-m", *_LAUNCHERS[launcher], *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env=environment | {"OMP_NUM_THREADS": "1"}
    )


def test_two_processes_compute_what_one_computes_and_fail_together(tmp_path: Path) -> None:
    alone = tiny_network(norm=False)
    train(alone, tmp_path / "alone")
    done = _launch(tiny_training.__file__, str(tmp_path), "together", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for name, value in alone.state_dict().items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-4)
        assert not torch.equal(value, tiny_network(norm=False).state_dict()[name])
    errors = [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)]
    assert errors[0] == errors[1]
    assert errors[0].startswith("3 ")
    assert "16 images of 32 x 32 pixels" in errors[0]


@pytest.mark.parametrize("launcher", _LAUNCHERS)
def test_a_build_in_two_processes_is_one_build(tmp_path: Path, launcher: str) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    build = ("-m", "edgetl", "build", str(recipe), "--until")
    done = _launch(*build, "distil", cwd=tmp_path, launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("teacher: epoch 1/1") == 1
    again = _launch(*build, "distil", cwd=tmp_path, launcher=launcher)
    assert "nothing to compute" in again.stderr
    wrong = _launch(*build, "nothing", cwd=tmp_path, launcher=launcher)
    assert wrong.returncode != 0
    assert wrong.stderr.count("error: --until nothing") == 1
