"""Quantize: one format's int8 file, its ranges calibrated on training images, tried in its runtime."""

from __future__ import annotations

from edgetl.backends import converter
from edgetl.config.recipe import Recipe
from edgetl.results.artifacts import LeftOut
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common import needs
from edgetl.stages.common.networks import SHIPPED, not_shipped, shipped
from edgetl.stages.common.one_by_one import Files
from edgetl.stages.common.stage import Context, Stage


def stage(backend: str) -> Stage:
    """The quantize stage of one format; writes `BACKEND-int8.*`."""

    def run(context: Context) -> None:
        from edgetl.models import spec
        from edgetl.stages.common.tried import training_images, try_file

        assert context.recipe.quantize is not None
        exported = context.inputs[f"export.{backend}"]
        name, reference = f"{backend}-int8", f"{backend}-fp32"
        files = Files(context, "quantize", context.folder, LeftOut.of(exported))
        if not files.lacks(name, reference):
            images = training_images(context, context.recipe.quantize.images, context.recipe.seed)
            network = spec.load(shipped(context)).eval()
            source = exported / f"{reference}{BACKENDS[backend].suffix}"
            with files.making(name):
                path = converter(backend).quantize(network, source, images, context.folder, name)
                try_file(path, backend, network, images)
        files.write()

    def settings(recipe: Recipe) -> object:
        # max_drop judges the result and does not change it.
        quantize = recipe.quantize.model_dump(exclude={"max_drop"}) if recipe.quantize else None
        return {"quantize": quantize, "seed": recipe.seed}

    reads = (*needs.decoded("train"), *SHIPPED, f"export.{backend}")
    return Stage(
        f"quantize.{backend}",
        2,
        reads,
        settings,
        BACKENDS[backend].tools,
        run,
        lambda recipe: recipe.makes(backend, "int8"),
        unread=not_shipped,
    )
