"""The runtime's frozen dataclasses behave as the standard ones, which they are cheaper than."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from edgetl.runtime import records
from edgetl.runtime.manifest import Artifact, Manifest, TensorSpec
from edgetl.runtime.predicting import Prediction

CLASSES = []
for make in (dataclasses.dataclass, records.dataclass):

    @make(frozen=True)
    class Point:
        """Two numbers, a list of names, and a note that does not count."""

        x: int
        y: float = 2.0
        names: Mapping[str, str] = dataclasses.field(default_factory=dict)
        note: str | None = dataclasses.field(default=None, compare=False)

        @property
        def sum(self) -> float:
            return self.x + self.y

    CLASSES.append(Point)
STANDARD, OURS = CLASSES


@pytest.fixture(params=CLASSES, ids=["standard", "ours"])
def point(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_it_is_made_by_position_name_and_default(point: Any) -> None:
    assert (point(1).x, point(1).y, point(1).names, point(1).note, point(1).sum) == (1, 2.0, {}, None, 3.0)
    assert point(1, 3.0, note="n") == point(x=1, y=3.0)
    assert point(1).names is not point(2).names
    assert repr(point(1, note="n")).endswith("Point(x=1, y=2.0, names={}, note='n')")


@pytest.mark.parametrize(
    "given", [((), {}), ((1, 2.0, {}, None, 5), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((), {"y": 1.0})]
)
def test_arguments_that_do_not_fit_are_refused(point: Any, given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    with pytest.raises(TypeError):
        point(*given[0], **given[1])


def test_it_cannot_be_changed(point: Any) -> None:
    made = point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.x
    assert made.x == 1


def test_equality_and_hash_are_those_of_the_fields_that_count(point: Any) -> None:
    assert point(1, note="a") == point(1, note="b")
    assert point(1) != point(2)
    assert point(1) != point(1, names={"a": "b"})
    assert point(1) != (1, 2.0, {})
    with pytest.raises(TypeError):
        hash(point(1))  # of a dict


def test_a_hash_is_that_of_equals() -> None:
    one, two = (TensorSpec("image", (1, 2, 2, 3), "uint8", "NHWC", "a") for _ in range(2))
    assert (one, hash(one)) == (two, hash(two))
    assert len({one, two, dataclasses.replace(one, name="b")}) == 2


def test_the_functions_of_dataclasses_know_it(point: Any) -> None:
    made = point(1, names={"a": "b"})
    assert dataclasses.is_dataclass(type(made))
    assert [field.name for field in dataclasses.fields(point)] == ["x", "y", "names", "note"]
    assert dataclasses.asdict(made) == {"x": 1, "y": 2.0, "names": {"a": "b"}, "note": None}
    assert dataclasses.replace(made, y=5.0).y == 5.0
    assert dataclasses.replace(made, y=5.0).names == {"a": "b"}
    assert point.__dataclass_params__.frozen
    assert copy.deepcopy(made) == made


def test_a_subclass_may_be_a_standard_one(point: Any) -> None:
    @dataclasses.dataclass(frozen=True)
    class Named(point):  # type: ignore[misc]
        name: str = "n"

    assert (Named(1).name, Named(1, name="m").x) == ("n", 1)
    assert Named(1) != point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Named(1).name = "b"  # type: ignore[misc]


def test_it_can_be_pickled() -> None:
    artifact = Artifact("onnx-int8", "student", "onnx", "int8", "models/a.onnx", "0" * 64, 1)
    assert pickle.loads(pickle.dumps(artifact)) == artifact  # noqa: S301  # ours


def test_what_the_runtime_loads_is_of_this_kind() -> None:
    """And compiles nothing: what the standard decorator writes has no file."""
    for kind in (Artifact, Manifest, Prediction, TensorSpec):
        assert kind.__init__.__code__.co_filename == records.__file__
        assert kind.__eq__.__code__.co_filename == records.__file__
        assert kind.__doc__
