"""Pictures without labels: which are found, which are left out, where they go in a batch, and what is learned from them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes.progress import Heard
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.data import originals
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.images import cache, divide, open_cache
from edgetl.data.records import Record
from edgetl.data.table import DataTable
from edgetl.data.unlabelled import pictures
from edgetl.errors import DataError, RecipeError
from edgetl.results.depth import Depth
from edgetl.results.unlabelled import Unlabelled
from edgetl.runtime.preprocessing import Preprocessing, Resize
from edgetl.stages import unlabelled
from edgetl.stages.common.stage import Context
from edgetl.tasks import classify
from edgetl.training.batches import TrainingData, epoch_batches, unlabelled_numbers
from edgetl.training.diagnostics import diverged, named
from edgetl.training.job import Distillation, Job
from edgetl.training.loop import fit
from edgetl.training.losses.dkd import dkd
from edgetl.training.losses.kd import kd
from edgetl.training.objective import Objective

pytestmark = pytest.mark.usefixtures("one_thread")

_SIDE = 32


def _picture(path: Path, seed: int, side: int = 96) -> None:
    """A few soft blobs, other ones for each seed."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.save(path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A data stage's result of eight pictures, and a folder of unlabelled ones."""
    for number in range(8):
        _picture(tmp_path / "data" / f"{number}.png", number)
    splits: Any = ("train", "train", "train", "train", "val", "val", "test", "test")
    records = tuple(Record(f"{number}.png", "ab"[number % 2], split=split) for number, split in enumerate(splits))
    table, result = DataTable(("a", "b"), records, "folder", True), tmp_path / "result"
    result.mkdir()
    size = Preprocessing(Resize("crop", "bilinear", _SIDE, _SIDE), bits=16)
    cache(table, tmp_path / "data", size, tmp_path / "all.npy", Silent())
    table.save(result)
    divide(tmp_path / "all.npy", table, result)
    originals.write(result, tmp_path / "data", table, Fingerprints(tmp_path / "index.sqlite"))
    Depth(16).write(result)
    for number in range(3):
        _picture(tmp_path / "further" / "a" / f"{number}.png", 100 + number)
    (tmp_path / "further" / "notes.txt").write_text("no picture")
    return tmp_path


def _run(project: Path) -> tuple[Path, Heard]:
    folder, scratch, said = project / "out", project / "scratch", Heard()
    for path in (folder, scratch):
        path.mkdir()
    data = {"kind": "folder", "root": "data", "image_size": _SIDE, "unlabelled": str(project / "further")}
    recipe = Recipe.model_validate({"name": "x", "data": data})
    inputs = {"data": project / "result"}
    unlabelled.STAGE.run(Context(recipe, folder, inputs, scratch, project / "data", project, said))
    return folder, said


def test_they_are_decoded_as_the_labelled_ones_in_the_order_of_their_paths(project: Path) -> None:
    _picture(project / "further" / "0.png", 0)  # a training picture: that leaks nothing
    folder, said = _run(project)
    assert Unlabelled.read(folder) == Unlabelled(4, ())
    found = open_cache(folder / "pixels.npy")
    assert found.shape == (4, _SIDE, _SIDE, 3)
    assert np.array_equal(found[0], open_cache(project / "result" / "train" / "pixels.npy")[0])
    assert said.lines == ["unlabelled: 4 pictures"]


def test_what_validation_or_test_show_is_left_out_in_other_bytes_too(project: Path) -> None:
    further = project / "further"
    (further / "copy.png").write_bytes((project / "data" / "4.png").read_bytes())
    (further / "twice.png").write_bytes((project / "data" / "7.png").read_bytes())
    with Image.open(project / "data" / "6.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((80, 80)).save(further / "mirrored.jpg", quality=90)
    (further / "mirrored_too.jpg").write_bytes((further / "mirrored.jpg").read_bytes())
    folder, said = _run(project)
    assert Unlabelled.read(folder) == Unlabelled(3, ("copy.png", "mirrored.jpg", "mirrored_too.jpg", "twice.png"))
    assert len(open_cache(folder / "pixels.npy")) == 3
    assert said.lines == ["unlabelled: 3 pictures; 4 that validation or test show are left out"]


def test_a_folder_of_none_or_of_held_out_ones_alone_is_refused(project: Path) -> None:
    with pytest.raises(DataError, match="expected a folder of pictures"):
        pictures(project / "nowhere")
    (project / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        pictures(project / "empty")
    for path in pictures(project / "further"):
        (project / "further" / path).write_bytes((project / "data" / "5.png").read_bytes())
    with pytest.raises(DataError, match="all of its pictures are of validation or test"):
        _run(project)


def test_one_that_cannot_be_read_is_named(project: Path) -> None:
    (project / "further" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        _run(project)


@pytest.mark.parametrize("changes", [{"teacher": None}, {"distil": {"weights": [0.0]}}])
def test_they_are_for_what_a_teacher_says(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"data\.unlabelled is for what a teacher says"):
        Recipe.model_validate({"name": "x", "data": {"kind": "skin_phantom", "unlabelled": "x"}, **changes})


def test_their_folder_is_found_beside_the_recipe_and_by_variables(tmp_path: Path) -> None:
    (tmp_path / "further").mkdir()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\ndata: {kind: skin_phantom, unlabelled: '${EDGETL_TEST_WHERE}'}\n")
    loaded = load(recipe, (), {"EDGETL_TEST_WHERE": "further"})
    assert loaded.recipe.data.unlabelled == str(tmp_path / "further")
    with pytest.raises(RecipeError, match="EDGETL_TEST_WHERE is not set"):
        load(recipe, (), {})


_CLASSES = 3


def _data(count: int | None = 10, train: int = 13, **options: Any) -> TrainingData:
    generator = np.random.default_rng(0)
    labels = (np.arange(train + 6) % _CLASSES).astype(np.int64)
    images = generator.integers(0, 256, (train + 6, 8, 8, 3), dtype=np.uint8)
    further = None if count is None else generator.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    rows = np.arange(train + 6)
    return TrainingData(images, labels, rows[:train], rows[train:], _CLASSES, unlabelled=further, **options)


@pytest.mark.parametrize(("count", "each"), [(1, 1), (9, 3), (10, 4), (100, 4)])
def test_each_batch_has_as_many_and_an_epoch_has_all_where_they_fit(count: int, each: int) -> None:
    data = _data(count)
    numbers = unlabelled_numbers(data, 4, seed=1, epoch=2)
    assert numbers.shape == (3, each)
    assert len(set(numbers.ravel().tolist())) == min(count, 3 * each)
    again, other = (unlabelled_numbers(data, 4, seed=1, epoch=epoch) for epoch in (2, 3))
    assert np.array_equal(numbers, again)
    assert count < 9 or not np.array_equal(numbers, other)
    assert unlabelled_numbers(_data(None), 4, 1, 2).shape == (3, 0)


def test_batches_hold_them_apart_resume_with_the_same_and_share_them_out() -> None:
    drawn: list[int] = []

    def augment(image: np.ndarray, seed: int, epoch: int, row: int) -> np.ndarray:
        drawn.append(row)
        return image

    data = _data(10, augment=augment)
    numbers = unlabelled_numbers(data, 4, 1, 2)
    assert isinstance(data.unlabelled, np.ndarray)
    whole = list(epoch_batches(data, 4, 1, 2))
    for batch, some in zip(whole, numbers, strict=True):
        assert np.array_equal(batch.images, data.images[batch.rows])
        assert np.array_equal(batch.unlabelled, data.unlabelled[some])  # type: ignore[arg-type]
    assert set(drawn) >= set((numbers + len(data.labels)).ravel().tolist()), "augmentation of no labelled picture"
    rest = list(epoch_batches(data, 4, 1, 2, start=2))
    assert np.array_equal(rest[0].unlabelled, whole[2].unlabelled)  # type: ignore[arg-type]
    shares = [next(epoch_batches(data, 4, 1, 2, share=(index, 2))).unlabelled for index in (0, 1)]
    first = np.stack([picture for pair in zip(*shares, strict=True) for picture in pair])
    assert np.array_equal(first, whole[0].unlabelled)  # type: ignore[arg-type]
    one = replace(data, unlabelled=data.unlabelled[:1])
    given = [next(epoch_batches(one, 4, 1, 2, share=(index, 2), size=(4, 4))).unlabelled for index in (0, 1)]
    assert [None if some is None else len(some) for some in given] == [1, None]
    (small, *_) = epoch_batches(data, 4, 1, 2, size=(4, 4))
    assert small.unlabelled is not None
    assert small.unlabelled.shape == (4, 4, 4, 3)
    alone = list(epoch_batches(replace(data, unlabelled=None), 4, 1, 2))
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(alone, whole, strict=True))
    assert {batch.unlabelled for batch in alone} == {None}


def _network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, _CLASSES))


def _images(count: int) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("blended", [False, True])
def test_labels_teach_the_labelled_ones_and_the_teacher_all(blended: bool) -> None:
    data, student, teacher, images = _data(), _network(), _network(5), _images(7)
    indices = torch.arange(4) % _CLASSES
    labels = 0.6 * torch.eye(_CLASSES)[indices] + 0.4 * torch.eye(_CLASSES)[indices.roll(1)] if blended else indices
    job = Job(student, data, Training(epochs=1), Distillation(teacher, dkd, 0.7, 2.0), 0, "test")
    losses = Objective(job, torch.device("cpu"), nullcontext)(student, images, labels)
    logits, targets = student(images), teacher(images)
    taken_for = torch.cat([indices, targets[4:].argmax(1)])
    torch.testing.assert_close(losses.label, classify.label_loss("logit_adjust", data.counts())(logits[:4], labels))
    torch.testing.assert_close(losses.distil, dkd(logits, targets, 2.0, taken_for))
    torch.testing.assert_close(losses.total, losses.label + 0.7 * losses.distil)


def test_without_a_teacher_they_are_not_even_read() -> None:
    assert Job(_network(), _data(), Training(epochs=1), None, 0, "test").data.unlabelled is None
    taught = Distillation(_network(5), kd, 0.7, 2.0)
    assert Job(_network(), _data(), Training(epochs=1), taught, 0, "test").data.unlabelled is not None
    identities = {
        Job(_network(), _data(count), Training(epochs=1), taught, 0, "test").identity() for count in (9, 10, None)
    }
    assert len(identities) == 3


def test_none_are_as_if_there_were_none_and_others_have_the_same_size() -> None:
    taught = Distillation(_network(5), kd, 0.7, 2.0)
    none = replace(_data(), unlabelled=np.empty((0, *_data().images.shape[1:]), np.uint8))
    assert Job(_network(), none, Training(epochs=1), taught, 0, "test").data.unlabelled is None
    height, width, _ = _data().images.shape[1:]
    with pytest.raises(DataError, match=f"got unlabelled pictures of 7 x 9, expected {height} x {width}"):
        replace(_data(), unlabelled=np.zeros((4, 7, 9, 3), np.uint8))


def test_a_loss_that_is_not_finite_may_be_theirs() -> None:
    for count, further in ((9, ", or of those without labels"), (None, "")):
        said = diverged("student", 1, 2, np.array([3, 5]), _data(count), float("nan"))
        assert said.message.endswith(f"(image rows 3, 5{further})")


def test_a_batch_that_takes_too_much_memory_counts_them() -> None:
    batch = next(iter(epoch_batches(_data(9), 4, 0, 1)))
    assert batch.unlabelled is not None
    assert f"4 images and {len(batch.unlabelled)} without labels of" in named(1, 0, batch, _data(9))


@pytest.mark.parametrize("options", [{}, {"mixup": 0.4}])
def test_a_student_learns_what_the_teacher_says_of_them_and_goes_on_with_the_same_bits(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """The teacher is sure of what only the unlabelled pictures show; a student who sees them says so, another one does not."""
    settings = Training(epochs=6, batch_size=4, learning_rate=0.01, ema=0.0, warmup_epochs=0.0, **options)
    data, teacher = _data(10), _network(5)
    assert isinstance(data.unlabelled, np.ndarray)
    seen = torch.from_numpy(data.unlabelled).permute(0, 3, 1, 2).float().sub(128).div(128)

    def trained(data: TrainingData, folder: str, progress: Silent | None = None) -> nn.Module:
        student, taught = _network(), Distillation(teacher, kd, 2.0, 2.0)
        fit(
            student,
            data,
            settings,
            distillation=taught,
            seed=1,
            checkpoints=tmp_path / folder,
            progress=progress or Silent(),
        )
        return student

    def apart(student: nn.Module) -> float:
        with torch.no_grad():
            return kd(student(seen), teacher(seen), 1.0).item()

    with_them = trained(data, "with")
    assert apart(with_them) < 0.7 * apart(trained(replace(data, unlabelled=None), "without"))
    with pytest.raises(KeyboardInterrupt):
        trained(data, "stopped", _Stop(8))
    resumed = trained(data, "stopped")
    assert all(torch.equal(a, b) for a, b in zip(with_them.parameters(), resumed.parameters(), strict=True))


class _Stop(Silent):
    """Presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def advance(self, label: str, done: int, total: int) -> None:
        if done == self._step:
            raise KeyboardInterrupt
