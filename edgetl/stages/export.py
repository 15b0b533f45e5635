"""Export: the final network as one format's fp32 file, with the contract's ends and temperature 1, tried in its runtime."""

from __future__ import annotations

from edgetl.backends import converter
from edgetl.config.recipe import Recipe
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common import needs
from edgetl.stages.common.networks import SHIPPED, not_shipped, shipped
from edgetl.stages.common.one_by_one import Files
from edgetl.stages.common.stage import Context, Stage


def stage(backend: str) -> Stage:
    """The export stage of one format; writes `BACKEND-fp32.*`."""

    def run(context: Context) -> None:
        from edgetl.backends.trial_run import IMAGES
        from edgetl.models import spec
        from edgetl.stages.common.tried import training_images, try_file

        network = spec.load(shipped(context)).eval()
        name, files = f"{backend}-fp32", Files(context, "export", context.folder)
        with files.making(name):
            path = converter(backend).export(network, context.recipe.data.image_size, context.folder, name)
            try_file(path, backend, network, training_images(context, IMAGES, seed=0))
        files.write()

    def settings(recipe: Recipe) -> object:
        return {"image_size": recipe.data.image_size}

    return Stage(
        f"export.{backend}",
        2,
        (*needs.decoded("train"), *SHIPPED),
        settings,
        BACKENDS[backend].tools,
        run,
        lambda recipe: recipe.makes(backend, "fp32"),
        unread=not_shipped,
    )
