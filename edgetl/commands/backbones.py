"""`edgetl backbones`: which backbones go the whole way, how large and how fast they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import JsonOption

if TYPE_CHECKING:
    from edgetl.api.backbones import BackbonesResult


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("backbones")(_backbones)


def _backbones(
    below: Annotated[
        float | None, typer.Option("--below", metavar="MS", help="Faster than that, on one thread.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help="That can be had as onnx, openvino, tflite, tflite-int8..."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the backbones that were tried: size, speed, and the files that can be had. Random weights: no accuracy."""
    from edgetl.api.backbones import backbones

    result = backbones(below=below, format=format_)
    print(json.dumps(result.to_json()) if as_json else "\n".join(_lines(result)))


def _lines(result: BackbonesResult) -> Iterator[str]:
    yield f"{'backbone':<28}{'M params':>9}{'M MACs':>8}{'ONNX ms':>9}  files of the pruned network: ms"
    for backbone in result.backbones:
        files = "  ".join(f"{file.name} {file.p50_ms:.1f}" for file in backbone.files if file.p50_ms is not None)
        parameters, macs = (backbone.parameters or 0) / 1e6, (backbone.macs or 0) / 1e6
        yield f"{backbone.name:<28}{parameters:>9.1f}{macs:>8.0f}{backbone.onnx_ms or 0:>9.1f}  {files}"
    yield f"{len(result.backbones)} backbones, {result.image_size} x {result.image_size}, one thread of {result.machine}"
    yield result.note
