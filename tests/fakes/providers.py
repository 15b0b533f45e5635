"""ONNX Runtime and OpenVINO with accelerators that take a part of a model: what is not on the machine of the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@dataclass
class _Tensor:
    name: str
    type: str
    shape: list[int]


@dataclass
class _Node:
    name: str
    op_type: str = "Conv"


@dataclass
class _Subgraph:
    ep_name: str
    nodes: list[_Node]

    def get_nodes(self) -> list[_Node]:
        return self.nodes


class OnnxSession:
    """What `OnnxRuntime` makes."""

    def __init__(self, path: str, options: Any, providers: Sequence[Any], runtime: OnnxRuntime) -> None:
        names = [one if isinstance(one, str) else one[0] for one in providers]
        self.registered = [name for name in names if name not in runtime.dropped]
        self._runtime = runtime

    def get_providers(self) -> list[str]:
        return self.registered

    def get_inputs(self) -> list[_Tensor]:
        return [_Tensor("image", "tensor(uint8)", [1, 8, 8, 3])]

    def get_outputs(self) -> list[_Tensor]:
        return [_Tensor("probabilities", "tensor(float)", [1, 3])]


class _Telling(OnnxSession):
    def get_provider_graph_assignment_info(self) -> list[_Subgraph]:
        """The first operator of each provider alone, the others together."""
        return [
            _Subgraph(provider, [_Node("")] * part)
            for provider, count in self._runtime.takes.items()
            for part in (1, count - 1)
        ]


class _Settings:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


@dataclass
class OnnxRuntime:
    """An ONNX Runtime with CUDA.

    takes: operators by provider. dropped: providers that fail to load, of which it only warns. tells: whether it is new
    enough to say who takes what. fails: what making a session on an accelerator raises.
    """

    takes: Mapping[str, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    tells: bool = True
    fails: Exception | None = None
    __version__ = "1.99"

    def __post_init__(self) -> None:
        self.settings: list[_Settings] = []
        self.given: list[Sequence[Any]] = []
        made = _Telling if self.tells else OnnxSession

        class InferenceSession(made):  # type: ignore[misc,valid-type]
            def __new__(cls, path: str, options: Any, providers: Sequence[Any], enable_fallback: int) -> Any:
                assert enable_fallback == 0
                self.given.append(providers)
                if self.fails and providers != [CPU]:
                    raise self.fails
                return made(path, options, providers, self)

        self.InferenceSession = InferenceSession

    def get_available_providers(self) -> list[str]:
        return ["AzureExecutionProvider", CUDA, CPU]

    def SessionOptions(self) -> Any:  # noqa: N802  # ONNX Runtime's name
        self.settings.append(_Settings())
        return self.settings[-1]


@dataclass
class Compiled:
    """A model that OpenVINO compiled for devices."""

    devices: list[str]

    def get_property(self, name: str) -> list[str]:
        assert name == "EXECUTION_DEVICES"
        return self.devices


@dataclass
class Core:
    """OpenVINO with two GPUs. devices: that a compiled model says it runs on. takes: operators by device."""

    devices: list[str]
    takes: Mapping[str, int] = field(default_factory=dict)
    fails: Exception | None = None
    available_devices: tuple[str, ...] = ("CPU", "GPU.0", "GPU.1")

    def __post_init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def read_model(self, path: str) -> str:
        return path

    def compile_model(self, model: str, device: str, settings: dict[str, Any]) -> Compiled:
        self.asked.append((device, settings))
        if self.fails:
            raise self.fails
        return Compiled(self.devices)

    def query_model(self, model: str, device: str) -> dict[str, str]:
        return {f"{name} {number}": name for name, count in self.takes.items() for number in range(count)}
