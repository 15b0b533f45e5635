"""From pictures to predictions in Python: a notebook as a file.

Every `# %%` begins a cell in VS Code, PyCharm, Spyder and Jupytext; `python examples/first_bundle.py` runs all of them.
It takes half a minute, on synthetic pictures and with a network that learns next to nothing in that time.
"""

# %% [markdown]
# ## A recipe
# A dictionary with what a recipe file would hold: a file's name does as well. `docs/recipe.md` has every field.

# %%
import numpy as np

import edgetl
from edgetl import Event, Recorded, StageEnded, Warned

recipe = {
    "name": "first_bundle",
    "data": {"kind": "skin_phantom", "images": 140, "image_size": 32},
    "teacher": {"backbone": "mobilenetv3_small_050", "weights": "none", "epochs": 1},
    "student": {"backbone": "mobilenetv3_small_050"},
    "distil": {"epochs": 1, "weights": [1.0]},
    "quantize": {"images": 16, "max_drop": 1.0},
    "export": ["onnx"],
}

# %% [markdown]
# ## What would a build do?

# %%
for stage in edgetl.build(recipe, dry_run=True).stages:
    print(f"{stage.name:<18} {stage.since or '; '.join(stage.why or ())}")


# %% [markdown]
# ## Build
# Run this cell again, or after Ctrl-C: it goes on where it was. `progress` is told everything; a notebook shows the little
# that it wants to see.


# %%
def show(event: Event) -> None:
    """Warnings, the end of each stage, and the loss of each epoch."""
    if isinstance(event, Warned):
        print(event.message)
    elif isinstance(event, StageEnded):
        print(f"[{event.number}/{event.total}] {event.name}: {event.seconds:.0f} s")
    elif isinstance(event, Recorded) and event.kind == "epoch":
        print(f"    epoch: {dict(event.fields)}")


result = edgetl.build(recipe, progress=show)
print(result.page)  # the report: open it in a browser
for artifact in result.report.artifacts:  # the same for programs
    accuracy = artifact.metrics["balanced_accuracy"]
    print(
        f"{artifact.name:<12} {artifact.bytes / 1e6:.1f} MB  {accuracy.value:.2f} [{accuracy.low:.2f}, {accuracy.high:.2f}]"
    )

# %% [markdown]
# ## Predict
# From files, and from pixels that a program has already: uint8, RGB, of any size.

# %%
bundle = edgetl.open_bundle(result.bundle)
print(bundle, bundle.labels)

golden = sorted((result.bundle / "golden").glob("*.png"))
for picture in golden[:3]:
    prediction = bundle.predict(picture)
    print(picture.name, prediction.label, f"{prediction.probabilities[prediction.label]:.2f}")

grey = np.full((480, 640, 3), 128, np.uint8)
print(bundle.predict(grey).probabilities)

# %% [markdown]
# ## Trust
# Does every file compute here what it computed when it was built? And how sure is a number?

# %%
verified = edgetl.verify(result.bundle)
assert verified.passed
for check in verified.checks:
    print(check.artifact, check.check, check.detail)
