"""ONNX Runtime's execution providers: which there are, and which of them computes what in a loaded session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..accelerators import Accelerator, Placement

_CPU = "CPUExecutionProvider"
# What TensorRT does not take goes to CUDA before it goes to the CPU, and has fallen back either way.
PROVIDERS = {
    "cpu": (_CPU,),
    "cuda": ("CUDAExecutionProvider", _CPU),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", _CPU),
}
# CUDA shortens the products of float32 to 10 bits by default (TF32), and fp32 means fp32.
_DEFAULTS = {"CUDAExecutionProvider": {"use_tf32": "0"}}
_NAMES = {providers[0]: name for name, providers in PROVIDERS.items()}
_ASSIGNED = "get_provider_graph_assignment_info"


# Options of a provider that let it compute in less than the file says, and in what.
_SHORTER = {"use_tf32": "tf32", "trt_fp16_enable": "float16", "trt_bf16_enable": "bfloat16", "trt_int8_enable": "int8"}


def shortened(options: Mapping[str, str]) -> str:
    """What the user's options allow beside the file's own precision; no session tells whether it is used."""
    allowed = [kind for name, kind in _SHORTER.items() if options.get(name, "0").lower() in ("1", "true")]
    return f", {' or '.join(allowed)} allowed" if allowed else ""


def built(runtime: Any) -> tuple[str, ...]:
    """The accelerators whose providers this build has; whether their libraries load is known when a file does."""
    available = runtime.get_available_providers()
    return tuple(name for name, providers in PROVIDERS.items() if providers[0] in available)


def configured(accelerator: str, options: Mapping[str, str]) -> list[Any]:
    """Its providers, the first with the user's options, as a session takes them."""
    first = PROVIDERS[accelerator][0]
    given = {name: {**_DEFAULTS.get(name, {}), **(options if name == first else {})} for name in PROVIDERS[accelerator]}
    return [(name, own) if own else name for name, own in given.items()]


def have_told(runtime: Any, settings: Any, accelerator: Accelerator) -> None:
    """Have the session tell who takes which operator; before 1.24 it cannot, and refuses the CPU instead."""
    if hasattr(runtime.InferenceSession, _ASSIGNED):
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    elif not accelerator.allow_fallback:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")


def placement(session: Any, asked: str) -> Placement:
    """Who computes, read back: a provider whose libraries do not load is dropped with no more than a warning."""
    registered, wanted = session.get_providers(), PROVIDERS[asked][0]
    if registered == [_CPU]:
        return Placement("cpu", 1.0 if asked == "cpu" else 0.0, _CPU)
    if wanted not in registered:
        return Placement(_NAMES.get(registered[0], registered[0]), 0.0, ", ".join(registered))
    if not hasattr(session, _ASSIGNED):
        return Placement(asked, None, f"{', '.join(registered)}; this ONNX Runtime does not say who takes what")
    counts = _counts(getattr(session, _ASSIGNED)())
    share = counts.get(wanted, 0) / max(1, sum(counts.values()))
    said = ", ".join(f"{provider} {count}" for provider, count in counts.items()) or "no operator"
    return Placement(asked if share else _NAMES.get(next(iter(counts), _CPU), "cpu"), share, said)


def _counts(subgraphs: Any) -> dict[str, int]:
    """Operators by provider, the most first, as ORT divides them: with what it inserted, and functions taken apart."""
    counts: dict[str, int] = {}
    for graph in subgraphs:
        counts[graph.ep_name] = counts.get(graph.ep_name, 0) + len(graph.get_nodes())
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
