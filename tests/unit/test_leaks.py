"""The leak guard finds groups and identical files on both sides, and merging keeps identical files together."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetl.data import leaks
from edgetl.data.records import Record, group_of
from edgetl.data.splits import split


def test_nothing_to_find() -> None:
    records = [Record("a.png", "x", split="train"), Record("b.png", "x", split="test"), Record("c.png", "y")]
    found = leaks.find(records, {"a.png": "1", "b.png": "2", "c.png": "3"})
    assert found == leaks.Leaks((), (), ())
    assert found.to_json() == {"groups": (), "identical": (), "near": ()}


def test_a_patient_in_two_splits() -> None:
    records = [
        Record("a.png", "x", group="P1", split="train"),
        Record("b.png", "x", group="P1", split="test"),
        Record("c.png", "x", group="P2", split="test"),
    ]
    found = leaks.find(records, {"a.png": "1", "b.png": "2", "c.png": "3"})
    assert found.groups == (leaks.SharedGroup("P1", ("test", "train"), ("a.png", "b.png")),)
    assert not found.identical


def test_identical_files_across_splits_and_with_contradicting_labels() -> None:
    records = [
        Record("b.png", "x", split="test"),
        Record("a.png", "x", split="train"),
        Record("c.png", "x", split="train"),
        Record("d.png", "y", split="train"),
    ]
    found = leaks.find(records, {"a.png": "1", "b.png": "1", "c.png": "2", "d.png": "2"})
    across = leaks.Identical(("a.png", "b.png"), ("x",), ("test", "train"))
    conflicting = leaks.Identical(("c.png", "d.png"), ("x", "y"), ("train",))
    assert found.identical == (across, conflicting)
    assert found.across == (across,)
    assert found.conflicting == (conflicting,)


def test_near_duplicates_leak_where_they_are_in_several_splits() -> None:
    """Those within one split, or not dealt yet, do not; labels are those of all."""
    records = [
        Record("a.png", "x", split="train"),
        Record("b.png", "y", split="train"),
        Record("c.png", "x", split="val"),
        Record("d.png", "x"),
        Record("e.png", "x"),
    ]
    digests = {record.image: record.image for record in records}
    within, across, undealt = records[1::-1], [records[2], records[0], records[3]], records[3:]
    found = leaks.find(records, digests, [within, across, undealt])
    assert found.near == (
        leaks.Near(("a.png", "b.png"), ("x", "y"), ("train",)),
        leaks.Near(("a.png", "c.png", "d.png"), ("x",), ("train", "val")),
        leaks.Near(("d.png", "e.png"), ("x",), ()),
    )
    assert found.near_across == (found.near[1],)
    assert (found.groups, found.identical, found.across, found.conflicting) == ((), (), (), ())


def test_a_file_that_is_there_three_times_is_one_set() -> None:
    records = [Record(f"{name}.png", "x", split="train") for name in "cab"]
    found = leaks.find(records, dict.fromkeys(("a.png", "b.png", "c.png"), "same"))
    assert found.identical == (leaks.Identical(("a.png", "b.png", "c.png"), ("x",), ("train",)),)
    assert found.across == ()


def test_a_group_that_is_not_dealt_everywhere_leaks_only_between_those_that_are() -> None:
    records = [Record("a.png", "x", group="P", split="train"), Record("b.png", "x", group="P")]
    digests = {"a.png": "1", "b.png": "2", "c.png": "3"}
    assert leaks.find(records, digests).groups == ()
    records.append(Record("c.png", "x", group="P", split="val"))
    (shared,) = leaks.find(records, digests).groups
    assert shared == leaks.SharedGroup("P", ("train", "val"), ("a.png", "b.png", "c.png"))


def test_connected_sets_are_sorted() -> None:
    assert leaks.connected([["d", "c"], ["z"], ["c", "b"], ["y", "x"]]) == [["b", "c", "d"], ["x", "y"], ["z"]]
    assert leaks.connected([]) == []


def test_merging_follows_chains_and_leaves_the_rest() -> None:
    records = [
        Record("1.png", "x", group="A"),
        Record("2.png", "x", group="B"),
        Record("3.png", "x", group="B"),
        Record("4.png", "x", group="C"),
        Record("5.png", "x", group="D"),
        Record("6.png", "x"),
        Record("7.png", "x"),
        Record("8.png", "x"),
    ]
    digests = {
        "1.png": "p",
        "2.png": "p",
        "3.png": "q",
        "4.png": "q",
        "5.png": "r",
        "6.png": "s",
        "7.png": "s",
        "8.png": "t",
    }
    merged = [record.group for record in leaks.merge_identical(records, digests)]
    assert merged == ["A", "A", "A", "A", "D", "6.png", "6.png", None]


@given(
    rows=st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 25), st.integers(0, 60)), max_size=80),
    seed=st.integers(0, 1000),
    shuffled=st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_after_merging_no_split_can_part_identical_files(rows, seed, shuffled) -> None:  # type: ignore[no-untyped-def]
    rows += [(label, 100 + index, 100 + index) for index, label in enumerate("xxxyyy")]
    records = [Record(f"{index}.png", label, group=f"g{group}") for index, (label, group, _) in enumerate(rows)]
    digests = {f"{index}.png": str(content) for index, (_, _, content) in enumerate(rows)}
    merged = leaks.merge_identical(records, digests)
    where: defaultdict[str, set[str]] = defaultdict(set)
    for record, name in zip(merged, split(merged, 0.2, 0.2, seed), strict=True):
        where[digests[record.image]].add(name)
        where[f"group {record.group}"].add(name)
    assert all(len(names) == 1 for names in where.values())
    shuffled.shuffle(records)
    again = {record.image: group_of(record) for record in leaks.merge_identical(records, digests)}
    assert again == {record.image: group_of(record) for record in merged}
