"""How PyTorch runs a network: on the CPU or a CUDA GPU, in which precision, eager, compiled, or recorded as a CUDA graph.

One run is what an app sees: the picture begins and the probabilities end in the host's memory, and the host waits for them. On
a GPU that is two copies more than what CUDA's own events would time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from edgetl.errors import DeviceError, MissingAccelerator
from edgetl.runtime.preprocessing import DIVISOR, OFFSET

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["MODES", "PRECISIONS", "Mode", "Precision", "Way", "call", "pictures", "require", "require_same"]

Precision = Literal["fp32", "tf32", "fp16", "bf16"]
Mode = Literal["eager", "compile", "graph"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MODES: tuple[Mode, ...] = get_args(Mode)
TOLERANCES: dict[Precision, float] = {"fp32": 1e-3, "tf32": 0.02, "fp16": 0.02, "bf16": 0.1}
"""Of a probability, against float32 on the CPU."""
_WARM_UP = 3


@dataclass(frozen=True)
class Way:
    """One way to run a network.

    device: cpu, cuda, or one of several GPUs, cuda:1.
    precision: of the network; tf32 is fp32 whose products PyTorch shortens to 10 bits, its default for convolutions.
    mode: eager; compile, by torch.compile; graph, a CUDA graph that is recorded once and replayed.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    mode: Mode = "eager"
    batch: int = 1

    @property
    def name(self) -> str:
        """Differs from those of other ways on the same device."""
        return f"{self.precision} {self.mode} batch {self.batch}"


def require(way: Way) -> str:
    """The name of the GPU that computes, "" for the CPU.

    Raises:
        MissingAccelerator: there is no such GPU, or the CPU is to replay a CUDA graph.
    """
    import torch

    device = torch.device(way.device)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
            raise MissingAccelerator(
                f"got {count} GPUs that PyTorch {torch.__version__} (built {built}) sees, expected {way.device} among them",
                place="PyTorch",
                hint="nvidia-smi shows the driver; pip install torch with CUDA",
            )
        return torch.cuda.get_device_name(device)
    if way.mode == "graph":
        raise MissingAccelerator("got a CUDA graph for the CPU, expected cuda", place="PyTorch")
    return ""


def pictures(way: Way, size: int) -> Tensor:
    """The same random batch each time: uint8 [batch, size, size, 3]."""
    import torch

    return torch.randint(
        0, 256, (way.batch, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def require_same(got: Tensor, expected: Tensor, way: Way) -> float:
    """The largest difference of two tensors of probabilities, where it is one that the precision explains.

    Raises:
        DeviceError: it is larger, so that a time would be that of another network.
    """
    difference = float((got - expected).abs().max())
    if not difference <= TOLERANCES[way.precision]:
        raise DeviceError(
            f"probabilities differ from PyTorch's on the CPU by {difference:.3g}, expected at most "
            f"{TOLERANCES[way.precision]:g} in {way.precision}",
            place=f"{way.name} on {way.device}",
            hint="it computes something else there: it is not timed",
        )
    return difference


def call(network: nn.Module, way: Way, images: Tensor) -> Callable[[], Tensor]:
    """One inference of images uint8 [batch, H, W, 3]: probabilities float32 [batch, classes] on the host.

    The network is moved to the device and the precision; the weights that it has are gone.

    Raises:
        MissingAccelerator: as `require`.
    """
    import torch

    require(way)
    device = torch.device(way.device)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(way.precision, torch.float32)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way.precision == "tf32"
    torch.backends.cudnn.benchmark = True  # shapes never change here; the first run pays for the search
    network.eval().to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    body: Callable[[Tensor], Tensor] = torch.compile(network) if way.mode == "compile" else network
    images = images.pin_memory() if device.type == "cuda" else images

    def probabilities(given: Tensor) -> Tensor:
        pixels = (given.permute(0, 3, 1, 2).float() - OFFSET) / DIVISOR
        return torch.softmax(body(pixels.to(dtype)).float(), dim=-1)

    if way.mode == "graph":
        return _recorded(probabilities, images, device)

    def run() -> Tensor:
        with torch.inference_mode():
            return probabilities(images.to(device, non_blocking=True)).cpu()

    return run


def _recorded(probabilities: Callable[[Tensor], Tensor], images: Tensor, device: torch.device) -> Callable[[], Tensor]:
    """https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: warmed up on another stream, then recorded."""
    import torch

    with torch.cuda.device(device), torch.inference_mode():
        given = images.to(device)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                probabilities(given)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = probabilities(given)

    def run() -> Tensor:
        with torch.inference_mode():
            given.copy_(images, non_blocking=True)
            graph.replay()
            return found.cpu()

    return run
