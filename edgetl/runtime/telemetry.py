"""Inference runtimes that report to their makers: kept from it, on the host and on the device.

By default onnxruntime (from 1.32) writes an identity and an event database into `~/.cache/Microsoft` and uploads from
it, and importing openvino writes an identity into `~/intel` and calls an analytics service. Neither belongs beside
medical images. Nothing is written and nothing is sent when this ran before they are first imported.
"""

from __future__ import annotations

import os
import sys

__all__ = ["forbid"]


def forbid() -> None:
    """Switch the reporting of onnxruntime, openvino and nncf off for this process and its children; cheap, repeatable.

    A value that the user gave to ORT_DISABLE_TELEMETRY stands.
    """
    # Privacy.md of onnxruntime: the one switch that comes before its first event; `disable_telemetry_events()` is late.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # openvino and nncf take a stub where openvino-telemetry is not installed. Its own opt-out is a file in the home
    # folder, and its CI variable would tell every other library that this is CI (openvino-telemetry 2025.2).
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
