"""Where a recipe's pictures are, and the digest of their content; the phantom's are rendered when first needed."""

from __future__ import annotations

from pathlib import Path

from edgetl.loading import Loaded
from edgetl.progress import Progress
from edgetl.recipe import Recipe
from edgetl.store import Store

# `edgetl.data.phantom.VERSION`, whose import is heavy: a test holds the two together.
PHANTOM_VERSION = 1
_PHANTOM_IMAGES = 1400


def fingerprint(loaded: Loaded, store: Store) -> str:
    """Digest of the content that the data stage reads. Raises DataError when the folder is not of its kind."""
    if loaded.data_root is None:
        return f"skin_phantom {PHANTOM_VERSION} {_phantom_name(loaded.recipe)}"
    from edgetl.data.fingerprint import fingerprint as of_files

    return of_files(loaded.recipe.data.kind, loaded.data_root, store.root / "files.sqlite")


def root(loaded: Loaded, store: Store, progress: Progress) -> Path:
    """The folder that records' paths start from."""
    if loaded.data_root is not None:
        return loaded.data_root
    folder = store.root / "phantom" / f"{PHANTOM_VERSION}-{_phantom_name(loaded.recipe)}"
    if not (folder / "metadata.csv").is_file():  # written last, so a killed rendering starts again
        from edgetl.data import phantom

        recipe = loaded.recipe
        progress.say(f"rendering {_images(recipe)} synthetic pictures (skin_phantom)")
        phantom.render(folder, _images(recipe), _size(recipe), recipe.seed)
    return folder


def _images(recipe: Recipe) -> int:
    return recipe.data.images or _PHANTOM_IMAGES


def _size(recipe: Recipe) -> int:
    """Rendered larger than the input, so that the device's resize has work to do, as with real pictures."""
    return max(160, recipe.data.image_size * 5 // 4)


def _phantom_name(recipe: Recipe) -> str:
    return f"{recipe.seed}-{_images(recipe)}-{_size(recipe)}"
