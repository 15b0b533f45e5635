"""Splits: no group in two, every class in each, the requested shares, and nothing depends on the records' order."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetl.data.readers import read
from edgetl.data.records import SPLITS, Record, Split, group_of
from edgetl.data.splits import split
from edgetl.errors import DataError


@st.composite
def data_sets(draw: st.DrawFn, mixed: bool = False) -> list[Record]:
    """At least three groups a class; `mixed` adds groups that hold several classes."""
    classes = draw(st.integers(2, 5))
    groups = [
        [f"c{label}"] * size
        for label in range(classes)
        for size in draw(st.lists(st.integers(1, 9), min_size=3, max_size=40))
    ]
    if mixed:
        names = st.sampled_from([f"c{label}" for label in range(classes)])
        groups += draw(st.lists(st.lists(names, min_size=2, max_size=6), max_size=20))
    return [
        Record(image=f"{number}/{index}.png", label=label, group=f"g{number}")
        for number, labels in enumerate(groups)
        for index, label in enumerate(labels)
    ]


def plain(label: str, count: int, prescribed: Split | None = None) -> list[Record]:
    return [Record(image=f"{prescribed}/{label}/{index}.png", label=label, split=prescribed) for index in range(count)]


def by_label(records: Sequence[Record], splits: Sequence[Split]) -> dict[str, Counter[Split]]:
    counts: defaultdict[str, Counter[Split]] = defaultdict(Counter)
    for record, where in zip(records, splits, strict=True):
        counts[record.label][where] += 1
    return counts


SHARES = st.sampled_from([(0.15, 0.15), (0.1, 0.2), (0.05, 0.3), (0.3, 0.3)])
SEEDS = st.integers(0, 2**31 - 1)


@given(records=data_sets(mixed=True), shares=SHARES, seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_no_group_is_in_two_splits(records: list[Record], shares: tuple[float, float], seed: int) -> None:
    where: defaultdict[str, set[Split]] = defaultdict(set)
    for record, name in zip(records, split(records, *shares, seed), strict=True):
        where[group_of(record)].add(name)
    assert all(len(names) == 1 for names in where.values())


@given(records=data_sets(mixed=True), shares=SHARES, seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_every_class_is_in_every_split(records: list[Record], shares: tuple[float, float], seed: int) -> None:
    counts = by_label(records, split(records, *shares, seed))
    assert all(counts[label][name] for label in counts for name in SPLITS)


@given(records=data_sets(), seed=SEEDS, shuffled=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_records_does_not_matter(records: list[Record], seed: int, shuffled: random.Random) -> None:
    before = dict(zip((record.image for record in records), split(records, 0.15, 0.15, seed), strict=True))
    shuffled.shuffle(records)
    after = dict(zip((record.image for record in records), split(records, 0.15, 0.15, seed), strict=True))
    assert after == before


@given(records=data_sets(), shares=SHARES, seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_shares_of_each_class_are_near_the_request(
    records: list[Record], shares: tuple[float, float], seed: int
) -> None:
    splits = split(records, *shares, seed)
    images = by_label(records, splits)
    for label, counts in images.items():
        groups = {group_of(record): name for record, name in zip(records, splits, strict=True) if record.label == label}
        held_out = Counter(groups.values())
        for name, share in zip(SPLITS[1:], shares, strict=True):
            exact = share * len(groups)
            assert abs(held_out[name] - exact) <= max(0.5, 1 - exact), "groups: to the nearest whole one, at least one"
            if len(groups) >= 20:
                largest = max(Counter(group_of(record) for record in records if record.label == label).values())
                assert abs(counts[name] - share * counts.total()) <= 1.5 * largest, "images: within a group or so"


def test_seeds_differ_and_repeat() -> None:
    records = plain("a", 60) + plain("b", 60)
    assert split(records, 0.15, 0.15, 1) == split(records, 0.15, 0.15, 1)
    assert split(records, 0.15, 0.15, 1) != split(records, 0.15, 0.15, 2)


def test_this_split_is_the_same_on_every_machine() -> None:
    records = plain("a", 8) + plain("b", 8)
    dealt = list(zip((record.image for record in records), split(records, 0.2, 0.2, 7), strict=True))
    held_out = {name: [image for image, where in dealt if where == name] for name in ("val", "test")}
    assert held_out == {
        "val": ["None/a/2.png", "None/a/6.png", "None/b/0.png", "None/b/6.png"],
        "test": ["None/a/0.png", "None/a/3.png", "None/b/4.png", "None/b/7.png"],
    }


def test_without_groups_each_image_is_its_own() -> None:
    records = plain("a", 100) + plain("b", 50)
    assert by_label(records, split(records, 0.2, 0.1, 0)) == {
        "a": {"train": 70, "val": 20, "test": 10},
        "b": {"train": 35, "val": 10, "test": 5},
    }


def test_large_groups_do_not_bend_the_image_shares() -> None:
    sizes = [1] * 300 + [2] * 60 + [6] * 30 + [40] * 4
    records = [
        Record(image=f"{label}/{number}/{index}.png", label=label, group=f"{label}{number}")
        for label in ("a", "b")
        for number, size in enumerate(sizes)
        for index in range(size)
    ]
    for counts in by_label(records, split(records, 0.15, 0.15, 3)).values():
        assert counts["val"] / counts.total() == pytest.approx(0.15, abs=0.03)
        assert counts["test"] / counts.total() == pytest.approx(0.15, abs=0.03)


def test_a_class_inside_the_groups_of_rarer_ones_is_moved_into_every_split() -> None:
    """c is only where a or b is: dealing by the rarest class alone may leave it in one split."""
    for seed in range(30):
        records = [
            Record(f"{label}{number}{other}.png", other, group=f"{label}{number}")
            for label in "ab"
            for number in range(6)
            for other in (label, *("c" if number < 3 else ""))
        ]
        counts = by_label(records, split(records, 0.2, 0.2, seed))
        assert all(counts[label][name] for label in "abc" for name in SPLITS)


@pytest.mark.parametrize(("groups", "held_out"), [(3, 1), (5, 1), (7, 1), (8, 2), (10, 2), (13, 3)])
def test_a_split_gets_its_share_of_the_groups_rounded_and_one_at_least(groups: int, held_out: int) -> None:
    counts = by_label(records := plain("a", groups) + plain("b", groups), split(records, 0.2, 0.2, 0))
    assert counts["a"] == {"train": groups - 2 * held_out, "val": held_out, "test": held_out}


def test_too_few_groups_are_counted() -> None:
    with pytest.raises(DataError, match=r"rare has 2 groups \(train \d, val \d, test \d\)") as caught:
        split(plain("common", 30) + plain("rare", 2), 0.15, 0.15, 0)
    assert caught.value.hint == "add images, merge the class or leave it out"
    with pytest.raises(DataError, match=r"rare has 2 groups .*expected each class in each split"):
        split(plain("common", 30) + plain("rare", 2), 0.15, 0.15, 0)


class TestPrescribed:
    def test_all_three_are_kept(self) -> None:
        records = [record for label in "ab" for name in SPLITS for record in plain(label, 3, name)]
        assert split(records, 0.4, 0.4, 0) == [record.split for record in records]

    def test_validation_is_cut_from_training_only(self) -> None:
        records = [record for label in "ab" for record in plain(label, 40, "train") + plain(label, 20, "test")]
        splits = split(records, 0.15, 0.15, 0)
        assert by_label(records, splits)["a"] == {"train": 34, "val": 6, "test": 20}
        assert all((was.split == "test") == (now == "test") for was, now in zip(records, splits, strict=True))

    def test_test_is_cut_from_training_when_only_it_is_missing(self) -> None:
        records = [record for label in "ab" for record in plain(label, 40, "train") + plain(label, 10, "val")]
        assert by_label(records, split(records, 0.15, 0.25, 0))["b"] == {"train": 30, "val": 10, "test": 10}

    def test_records_without_a_prescription_follow_their_group(self) -> None:
        records = [record for label in "ab" for name in SPLITS for record in plain(label, 3, name)]
        records += [Record("x1.png", "a", group="x", split="test"), Record("x2.png", "a", group="x")]
        records += [Record("y.png", "b")]
        assert split(records, 0.15, 0.15, 0)[-3:] == ["test", "test", "train"]

    def test_a_group_in_two_splits_is_named_with_its_images(self) -> None:
        records = [record for label in "ab" for name in SPLITS for record in plain(label, 3, name)]
        records += [Record("one.png", "a", group="P7", split="train"), Record("two.png", "a", group="P7", split="test")]
        with pytest.raises(DataError, match=r"1 groups .* P7: one.png \(train\), two.png \(test\)"):
            split(records, 0.15, 0.15, 0)

    @pytest.mark.parametrize(("count", "more"), [(5, ""), (6, "; ...")])
    def test_five_torn_groups_are_named_with_four_images_each(self, count: int, more: str) -> None:
        records = [
            Record(f"{group}/{image}.png", "a", group=f"P{group}", split=SPLITS[image % 2])
            for group in range(count)
            for image in range(6)
        ]
        with pytest.raises(DataError) as caught:
            split(records, 0.15, 0.15, 0)
        named = "; ".join(
            f"P{group}: {group}/0.png (train), {group}/1.png (val), {group}/2.png (train), {group}/3.png (val)"
            for group in range(5)
        )
        assert caught.value.message == f"{count} groups are in two prescribed splits: {named}{more}"
        assert "drop the prescribed splits" in (caught.value.hint or "")

    def test_a_class_that_a_prescribed_split_lacks(self) -> None:
        records = [record for name in SPLITS for record in plain("a", 3, name)] + plain("b", 9, "train")
        with pytest.raises(DataError, match=r"b has 9 groups \(train 9, val 0, test 0\)"):
            split(records, 0.15, 0.15, 0)


def test_ham10000_gets_its_shares_in_images_and_lesions(ham10000: Path) -> None:
    records = read("ham10000", ham10000).records
    splits = split(records, 0.15, 0.15, 0)
    lesions: defaultdict[str, dict[str, Split]] = defaultdict(dict)
    for record, name in zip(records, splits, strict=True):
        assert lesions[record.label].setdefault(group_of(record), name) == name
    for label, images in by_label(records, splits).items():
        groups = Counter(lesions[label].values())
        for name in ("val", "test"):
            assert images[name] == pytest.approx(0.15 * images.total(), abs=2.5 + 0.01 * images.total())
            assert groups[name] == pytest.approx(0.15 * groups.total(), abs=0.6)
