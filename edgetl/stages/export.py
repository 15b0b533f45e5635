"""Export: the final network as one format's fp32 file, with the contract's ends and temperature 1."""

from __future__ import annotations

from edgetl.backends import converter
from edgetl.config.recipe import Recipe
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common.networks import SHIPPED, not_shipped, shipped
from edgetl.stages.common.stage import Context, Stage


def stage(backend: str) -> Stage:
    """The export stage of one format; writes `BACKEND-fp32.*`."""

    def run(context: Context) -> None:
        from edgetl.models import spec

        network = spec.load(shipped(context)).eval()
        converter(backend).export(network, context.recipe.data.image_size, context.folder, f"{backend}-fp32")

    def settings(recipe: Recipe) -> object:
        return {"image_size": recipe.data.image_size}

    return Stage(
        f"export.{backend}",
        1,
        SHIPPED,
        settings,
        BACKENDS[backend].tools,
        run,
        lambda recipe: backend in recipe.export,
        unread=not_shipped,
    )
