"""Where a recipe's pictures are, the records in them, and the digest of their content.

Those of some kinds are rendered or unpacked into the store when first needed.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgetl.config.data import Data
from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Progress
from edgetl.data.layout import GroupPattern, Layout
from edgetl.data.readers import READERS
from edgetl.data.records import SPLITS
from edgetl.errors import IntegrityError, RecipeError
from edgetl.errors.wording import some
from edgetl.stages.common import environment
from edgetl.store import PICTURES, Store

if TYPE_CHECKING:
    from edgetl.data.source import Source

INDEX = "files.sqlite"
_SHOWN = 5
_USUAL_IMAGES = 1400


def fingerprint(loaded: Loaded, store: Store) -> str:
    """Digest of the content of the data set, files that the recipe leaves out apart, and of what is odd about it.

    Raises:
        DataError: the data set is not of its kind, or the recipe names labels that it lacks.
        RecipeError: data.exclude names no file.
    """
    data, root = loaded.recipe.data, loaded.data_root
    reader = READERS[data.kind]
    if root is None:
        return f"{data.kind} {_rendered_name(loaded.recipe)}"
    if reader.unpack:
        return f"{data.kind} {import_module(reader.unpack).identity(root, store.root / INDEX)}"
    from edgetl.data.fingerprint import fingerprint as of_files

    source = records(data, root, loaded.project)
    return of_files(source.root, source.records, store.root / INDEX, source.cautions)


def unlabelled(data: Data) -> tuple[Path, list[str]]:
    """The folder of the unlabelled pictures, and their paths below it, sorted. Raises DataError where there are none."""
    from edgetl.data.unlabelled import pictures

    assert data.unlabelled is not None
    folder = Path(data.unlabelled).expanduser()
    return folder, pictures(folder)


def unlabelled_fingerprint(loaded: Loaded, store: Store) -> str:
    """Digest of the paths and the content of the unlabelled pictures. Raises DataError, also where one cannot be read."""
    from edgetl.data.fingerprint import Fingerprints

    folder, images = unlabelled(loaded.recipe.data)
    digests = Fingerprints(store.root / INDEX).digest(folder, images)
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()


def changes(loaded: Loaded, store: Store, before: Path) -> str:
    """Which files of the data set are not what they were when the data stage wrote `before`; empty where that is not known.

    Raises as `fingerprint`.
    """
    from edgetl.data import originals
    from edgetl.data.fingerprint import Fingerprints

    if loaded.data_root is None or READERS[loaded.recipe.data.kind].unpack:
        return ""
    try:
        known = {split: originals.read(before, split) for split in SPLITS}
    except IntegrityError:  # of an older edgetl
        return ""
    source = records(loaded.recipe.data, loaded.data_root, loaded.project)
    digests, _ = Fingerprints(store.root / INDEX).look(source.root, [record.image for record in source.records])
    parts = []
    for split, files in known.items():
        changed = [image for image, digest in files.items() if digests.get(image, digest) != digest]
        parts += [f"{split} images changed: {', '.join(some(changed, _SHOWN))}"] if changed else []
    gone = [image for files in known.values() for image in files if image not in digests]
    new = [image for image in digests if not any(image in files for files in known.values())]
    parts += [
        f"{what}: {', '.join(some(images, _SHOWN))}"
        for what, images in (("images are gone", gone), ("new images", new))
        if images
    ]
    return "; ".join(parts)


def root(loaded: Loaded, store: Store, progress: Progress) -> Path:
    """The folder or table that the data stage reads."""
    recipe, kind = loaded.recipe, loaded.recipe.data.kind
    reader, made = READERS[kind], store.root / PICTURES / kind
    if loaded.data_root is None:
        folder = made / _rendered_name(recipe)
        store.use(f"{kind}-{folder.name}", recipe.name)
        return _rendered(recipe, folder, store, progress)
    if not reader.unpack:
        return loaded.data_root
    with store.locked(kind, f"unpacks {reader.about}", progress.warn):
        folder = import_module(reader.unpack).unpack(loaded.data_root, made, progress)
    store.use(f"{kind}-{folder.name}", recipe.name)
    return cast(Path, folder)


def _rendered(recipe: Recipe, folder: Path, store: Store, progress: Progress) -> Path:
    """The folder with its pictures; a mark in it is written last, so that a killed rendering starts again."""
    kind, finished = recipe.data.kind, folder / ".finished"
    if finished.is_file():
        return folder
    with store.locked(f"{kind}-{folder.name}", "renders synthetic pictures", progress.warn):
        if not finished.is_file():  # not by another build either, while this one waited
            progress.say(f"rendering {_images(recipe)} synthetic pictures ({kind})")
            pkgutil.resolve_name(READERS[kind].render)(folder, _images(recipe), _size(recipe), recipe.seed)
            finished.touch()
    return folder


def records(
    data: Data,
    root: Path,
    project: Path,
    *,
    unpack_to: Path | None = None,
    fewest: int = 2,
    progress: Progress | None = None,
) -> Source:
    """What a recipe's data section makes of the folder or table at `root`, as `root()` gives it.

    Args:
        project: where relative paths in the recipe start.
        unpack_to: where the pictures of a root that is still packed go.
        fewest: classes that there must be.
    """
    from edgetl.data.source import open_source

    patterns = exclusions(data, root, project)
    named = data.root if READERS[data.kind].unpack else None  # not by the folder that it was unpacked into
    return open_source(
        data.kind,
        root,
        unpack_to=unpack_to,
        layout=layout(data),
        labels=data.labels,
        exclude=patterns,
        fewest=fewest,
        named=named,
        progress=progress,
    )


def layout(data: Data) -> Layout:
    """What the data section says of how the files lie."""
    return Layout(
        columns=data.columns.model_dump(exclude_none=True) if data.columns else {},
        **(data.table.model_dump() if data.table else {}),
        level=data.level,
        group=GroupPattern(data.group.source, data.group.pattern) if data.group else None,
        prescribed=data.split.prescribed == "keep",
    )


def exclusions(data: Data, root: Path | None, project: Path) -> tuple[str, ...]:
    """The patterns of data.exclude, read from its file where it names one.

    Raises:
        RecipeError: there is no such file.
        DataError: it cannot be read.
    """
    if not isinstance(data.exclude, str):
        return data.exclude
    from edgetl.data.selection import read_patterns

    path = exclude_file(data, root, project)
    assert path is not None
    return read_patterns(path)


def exclude_file(data: Data, root: Path | None, project: Path) -> Path | None:
    """The file that data.exclude names: beside the recipe, or below the root; None where it is a list.

    Raises RecipeError when there is none.
    """
    if not isinstance(data.exclude, str):
        return None
    try:
        name = Path(data.exclude).expanduser()
    except RuntimeError as exc:  # ~nobody
        raise RecipeError(f"data.exclude: {data.exclude}: {exc}") from exc
    folders = [project] if root is None else [project, root.parent if root.is_file() else root]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise RecipeError(
        f"data.exclude: there is no file {data.exclude} in {' or '.join(map(str, folders))}",
        hint=f'patterns go into a list: exclude: ["{data.exclude}"]',
    )


def _images(recipe: Recipe) -> int:
    return recipe.data.images or _USUAL_IMAGES


def _size(recipe: Recipe) -> int:
    """Rendered larger than the input, so that the device's resize has work to do, as with real pictures."""
    return max(160, recipe.data.image_size * 5 // 4)


def _rendered_name(recipe: Recipe) -> str:
    """What decides the pictures; other tools, or variables that change what these compute, draw other ones."""
    reader = READERS[recipe.data.kind]
    drawn_with = "".join(metadata.version(tool) for tool in reader.tools)
    drawn_with += "".join(f" {name}={value}" for name, value in environment.that_count(reader.tools).items())
    tools = hashlib.sha256(drawn_with.encode()).hexdigest()[:8]
    return f"{reader.version}-{recipe.seed}-{_images(recipe)}-{_size(recipe)}-{tools}"
