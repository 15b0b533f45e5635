"""PyTorch as `cuda_host` measures it: on the CPU here, and on a GPU where there is one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgetl.devices.pytorch import worker as pytorch
from edgetl.devices.pytorch.ways import TOLERANCES, Way, call, pictures, require, require_same
from edgetl.errors import DeviceError, MissingAccelerator
from edgetl.models import backbones, spec
from edgetl.runtime.measurement import Measurement
from edgetl.runtime.measuring import Effort, measure

SIZE, CLASSES = 32, 4
GPU = torch.cuda.is_available()
ON_GPU = [
    Way("cuda", precision, mode, batch)
    for precision in ("fp32", "tf32", "fp16", "bf16")
    for mode in ("eager", "graph")
    for batch in (1, 3)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network, _ = backbones.create("mobilenetv3_small_050", CLASSES, "none")
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)  # an untrained network says the same of every picture
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
    with torch.no_grad():
        network.body.get_submodule("classifier").weight.mul_(30)  # type: ignore[operator]
    path = tmp_path_factory.mktemp("network")
    spec.save(network, path)
    return path


def _expected(folder: Path, way: Way) -> torch.Tensor:
    """By the network itself."""
    pixels = pictures(way, SIZE).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        return torch.softmax(spec.load(folder).eval()((pixels - 128) / 128), dim=-1)


@pytest.mark.parametrize("way", [Way(), Way(batch=3), Way(precision="bf16", batch=2)], ids=lambda way: way.name)
def test_the_cpu_gives_the_networks_probabilities(folder: Path, way: Way) -> None:
    got, expected = call(spec.load(folder), way, pictures(way, SIZE))(), _expected(folder, way)
    assert expected.std() > 0.05, "the network must tell pictures apart"
    assert (got.shape, got.dtype) == ((way.batch, CLASSES), torch.float32)
    assert float((got - expected).abs().max()) <= (1e-6 if way.precision == "fp32" else TOLERANCES["bf16"])
    assert way.precision == "fp32" or not torch.equal(got, expected)


@pytest.mark.skipif(not GPU, reason="no CUDA GPU")
@pytest.mark.parametrize("way", ON_GPU, ids=lambda way: way.name)
def test_a_gpu_gives_them_too_each_time(folder: Path, way: Way) -> None:
    run = call(spec.load(folder), way, pictures(way, SIZE))
    for _ in range(3):
        got = run()
        assert got.device.type == "cpu"
        require_same(got, _expected(folder, way), way)


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_without_a_gpu_none_is_taken_in_its_place(folder: Path) -> None:
    for way, said in ((Way("cuda"), "got 0 GPUs .* expected cuda among"), (Way("cuda:3"), "expected cuda:3 among")):
        with pytest.raises(MissingAccelerator, match=said):
            require(way)
        with pytest.raises(MissingAccelerator, match=said):
            call(spec.load(folder), way, pictures(way, SIZE))


def test_a_cuda_graph_is_none_of_the_cpus() -> None:
    with pytest.raises(MissingAccelerator, match="got a CUDA graph for the CPU"):
        require(Way(mode="graph"))


@pytest.mark.parametrize(
    ("precision", "off", "fits"),
    [("fp32", 9e-4, True), ("fp32", 2e-3, False), ("fp16", 0.01, True), ("bf16", 0.2, False)],
)
def test_another_result_than_the_precision_explains_is_not_timed(precision: str, off: float, fits: bool) -> None:
    way, expected = Way(precision=precision), torch.full((2, 3), 0.25)  # type: ignore[arg-type]
    got = expected.clone()
    got[1, 2] += off
    if fits:
        assert require_same(got, expected, way) == pytest.approx(off, rel=1e-2)
        return
    with pytest.raises(DeviceError, match="probabilities differ from PyTorch's on the CPU by"):
        require_same(got, expected, way)


def test_nothing_is_the_same_as_what_is_no_number() -> None:
    with pytest.raises(DeviceError):
        require_same(torch.full((1, 2), float("nan")), torch.zeros(1, 2), Way())


def test_a_worker_says_the_way_and_is_measured(folder: Path) -> None:
    plan = [pytorch.worker(f"net {way.name}", 1, folder, SIZE, way) for way in (Way(), Way(precision="bf16", batch=2))]
    rows = [row for row in measure(plan, effort=Effort(1, 4, 0.0, 1.0, 0.0)) if isinstance(row, Measurement)]
    assert [(row.batch, row.described["compute_precision"]) for row in rows] == [(1, "fp32"), (2, "bf16")]
    assert {(row.described["accelerator"], row.described["placement"], row.delegated) for row in rows} == {
        ("cpu", "eager", 1.0)
    }


_ASKS_THE_CLOCK = """
import sys, types
from pathlib import Path
from edgetl.devices.pytorch import ways, worker
class Looked(Exception): pass
def clock():
    raise Looked({"torch", "timm", "edgetl.models.spec"} <= sys.modules.keys())
assert "torch" not in sys.modules
worker.time = types.SimpleNamespace(perf_counter_ns=clock)
try:
    worker._serve(Path(sys.argv[1]), 32, 1, ways.Way())
except Looked as looked:
    print(looked)
"""


def test_loading_is_timed_without_the_import_of_pytorch(folder: Path) -> None:
    command = [sys.executable, "-c", _ASKS_THE_CLOCK, str(folder)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_a_worker_without_its_gpu_ends_with_exit_code_4(folder: Path) -> None:
    argv = pytorch.worker("net", 1, folder, SIZE, Way("cuda", "fp16", "graph", 64)).argv
    done = subprocess.run(argv, capture_output=True, text=True, check=False, input="")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("PyTorch: got 0 GPUs")


def test_the_benchmark_of_a_gpu_host_keeps_the_ways_that_work(folder: Path) -> None:
    """On the CPU, where CUDA graphs are refused: `python -m benchmarks.cuda_inference`, which a GPU machine is given."""
    words = ["--network", f"student={folder}", "--size", str(SIZE), "--device", "cpu", "--batch", "2", "--at-once", "2"]
    command = [sys.executable, "-m", "benchmarks.cuda_inference", *words, "--precision", "fp32"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (row,) = found["rows"]
    assert (row["network"], row["batch"], row["placement"]) == ("student", 2, "eager")
    assert row["images_per_second"] == pytest.approx(2e3 / row["p50_ms"])
    assert "load_ms" not in row
    assert list(found["refused"]) == ["student fp32 graph batch 2"]
