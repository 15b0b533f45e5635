"""What a comparison calls worse, what it leaves alone, and what it does not compare at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.measurements import MACHINE, NEW, OLD, record, runs

from edgetl.evidence.intervals import Interval, student_t
from edgetl.evidence.ratios import moderated
from edgetl.history import Baseline, Comparison, Record, compare
from edgetl.history.changes import Change
from edgetl.history.comparing import RowComparison
from edgetl.history.pace import slow
from edgetl.history.wording import comparison_lines


def against(now: list[Record], before: list[Record], history: list[Record] | None = None) -> Comparison:
    return compare(now, Baseline("earlier", tuple(before)), before if history is None else history)


def only(comparison: Comparison) -> RowComparison:
    (row,) = comparison.rows
    return row


def change(comparison: Comparison, quantity: str) -> Change:
    (found,) = [each for each in only(comparison).changes if each.quantity == quantity]
    return found


def new(p50: float = 10.0, **of: Any) -> Record:
    return record(p50, run="new", bundle_sha256=NEW, **of)


def test_ten_percent_slower_is_found_where_runs_repeat_within_one() -> None:
    before = runs(5, 0.01, mode="full")
    found = against([new(11.0, mode="full")], before)
    assert change(found, "p50_ms").verdict == "worse"
    assert found.regressions == ["onnx-int8 x1 on desk: median"]
    row = only(found)
    assert (row.before, row.now, row.repeats, row.same_file) == (5, 1, 4, False)
    assert change(against([new(9.0, mode="full")], before), "p50_ms").verdict == "better"
    assert against([new(9.0, mode="full")], before).regressions == []


def test_the_same_ten_percent_are_nothing_where_runs_differ_by_as_much() -> None:
    assert against([new(11.0, mode="full")], runs(5, 0.1, mode="full")).regressions == []


def test_found_and_not_imagined_over_many_trials() -> None:
    """Six files, five earlier runs and one now that each differ by 1 %: of 40 comparisons, how many find and imagine."""
    names = [f"file{number}" for number in range(6)]
    imagined = found = 0
    for trial in range(40):

        def drawn(count: int, number: int, factor: float = 1.0, **of: str) -> list[Record]:
            seed = 1000 * trial + 10 * number + count  # noqa: B023 - called within the turn
            of.setdefault("content", names[number])
            return runs(count, 0.01, factor, seed, artifact=names[number], mode="full", **of)

        before = [each for number in range(6) for each in drawn(5, number)]
        now = [each for number in range(6) for each in drawn(1, number, bundle_sha256=NEW)]
        imagined += bool(against(now, before).regressions)
        slower = [*now[:-1], *drawn(1, 5, 1.1, bundle_sha256=NEW, content="slow")]
        found += any(said.startswith("file5") for said in against(slower, before).regressions)
    assert imagined <= 2
    assert found >= 36


def test_one_of_many_that_chance_explains_is_no_regression_and_is_said() -> None:
    before = [
        each
        for number in range(12)
        for each in runs(6, 0.03, seed=number, artifact=f"file{number}", content=str(number))
    ]
    now = [new(10.0 if number else 11.0, artifact=f"file{number}") for number in range(12)]
    found = against(now, before)
    assert found.rows[0].changes[0].verdict == "perhaps worse"
    assert found.regressions == []
    assert any("perhaps worse" in line for line in comparison_lines(found))


def test_a_change_too_small_to_matter_is_none() -> None:
    before = [record(10.0, run=str(number)) for number in range(60)]
    now = [record(10.1, run=f"new{number}", bundle_sha256=NEW) for number in range(60)]
    assert change(against(now, before), "p50_ms").ratio.low > 1  # type: ignore[union-attr]
    assert change(against(now, before), "p50_ms").verdict == "no difference"


def test_without_a_repeated_measurement_it_is_said_and_assumed() -> None:
    found = against([new(10.5)], [record(10.0)])
    assert only(found).repeats == 0
    assert found.regressions == []
    assert "is assumed" in "\n".join(comparison_lines(found))
    assert "is assumed" not in "\n".join(comparison_lines(against([new(10.5)], runs(3, 0.01))))
    assert against([new(15.0)], [record(10.0)]).regressions != []


def test_others_of_the_machine_lend_their_repeats() -> None:
    others = [
        each for number in range(4) for each in runs(5, 0.1, seed=number, artifact=f"file{number}", content=str(number))
    ]
    found = against([new(14.0)], [record(10.0)], [record(10.0), *others])
    assert only(found).repeats == 16
    assert found.regressions == []
    lent = change(found, "p50_ms").ratio
    assert lent is not None
    files = [[each.row["p50_ms"] for each in others[start : start + 5]] for start in range(0, 20, 5)]
    deviation = moderated(files, 0.04).deviation
    # Four degrees of freedom of five runs, and those of what is assumed: files of one run share its luck.
    assert np.log(lent.high / lent.value) == pytest.approx(student_t(4 + 4) * np.sqrt(2) * deviation)
    assert against([new(14.0)], [record(10.0)]).regressions != []
    elsewhere = [replace(each, machine=replace(MACHINE, cores=64)) for each in others]
    assert only(against([new(14.0)], [record(10.0)], [record(10.0), *elsewhere])).repeats == 0


def paced(each: Record, pace: float, kind: str = "1", **more: Any) -> Record:
    """The same measurement on a machine that takes `pace` times as long for everything."""
    row = {**each.row, "yardstick": kind, "yardstick_ms": [pace] * 10, **more}
    for name in ("p50_ms", "p90_ms", "load_ms"):
        row[name] *= pace
    return replace(each, row={**row, "round_ms": [pace * time for time in each.row["round_ms"]]})


def test_a_slower_machine_is_no_slower_file_and_hides_none() -> None:
    before = [paced(each, 1.0 + 0.05 * number) for number, each in enumerate(runs(5, 0.01, mode="full"))]
    same = against([paced(new(10.0, mode="full"), 1.3)], before)
    for quantity in ("p50_ms", "p90_ms", "load_ms"):
        found = change(same, quantity)
        assert found.verdict == "no difference"
        assert found.ratio is not None
        assert found.ratio.value == pytest.approx(1.0, abs=0.02)
    assert change(same, "p50_ms").now == pytest.approx(13.0), "milliseconds are shown as they were"
    assert only(same).machine == pytest.approx(1.3 / np.prod([1.0 + 0.05 * number for number in range(5)]) ** 0.2)
    assert any("machine  x1.18" in line for line in comparison_lines(same))
    slower = against([paced(new(11.0, mode="full"), 1.05)], before)
    assert only(slower).machine == pytest.approx(0.957, abs=0.001)
    assert change(slower, "p50_ms").verdict == "worse", "a quick machine does not make up for a slow file"
    ratio = change(slower, "p50_ms").ratio
    assert ratio is not None
    assert ratio.value == pytest.approx(1.1, rel=0.02)


def test_the_more_the_machine_differed_the_less_is_certain() -> None:
    """Networks follow a machine nearly, and not quite as the yardstick does."""

    def width(pace: float, quantity: str = "p50_ms") -> float:
        now = paced(new(10.0, mode="full"), pace, peak_rss_mb=70.0)
        found = change(against([now], [paced(each, 1.0) for each in runs(5, 0.01, mode="full")]), quantity).ratio
        assert found is not None
        return float(np.log(found.high / found.low))

    plain = change(against([new(10.0, mode="full")], runs(5, 0.01, mode="full")), "p50_ms").ratio
    assert plain is not None
    assert width(1.0) == pytest.approx(np.log(plain.high / plain.low)), "the interval of a steady machine"
    assert width(1.0) < width(1.05) < width(1.2)
    assert width(1.1) == pytest.approx(width(1 / 1.1))
    freedom = 4 + 4
    assert (width(1.2) ** 2 - width(1.0) ** 2) ** 0.5 == pytest.approx(2 * student_t(freedom) * 0.3 * np.log(1.2))
    assert width(1.2, "peak_rss_mb") == pytest.approx(width(1.0, "peak_rss_mb")), "memory has no pace"


def test_a_yardstick_counts_where_it_is_the_same_on_both_sides_and_of_the_processor_that_computed() -> None:
    before = [paced(each, 1.0) for each in runs(5, 0.01, mode="full")]
    for now, verdict in (
        (paced(new(10.0, mode="full"), 1.3, kind="2"), "perhaps worse"),  # it may well be the machine
        (new(13.0, mode="full"), "worse"),  # a phone, which never has one
        (paced(new(10.0, mode="full"), 1.3, yardstick_ms=[1.0, 0.0]), "worse"),
    ):
        found = against([now], before)
        assert only(found).machine is None
        assert change(found, "p50_ms").verdict == verdict
        said = any("no yardstick that both sides have" in line for line in comparison_lines(found))
        assert said is (verdict == "perhaps worse")
    elsewhere = [replace(each, row={**each.row, "accelerator": "cuda"}) for each in before]
    now = paced(new(10.0, mode="full"), 1.3, accelerator="cuda")
    assert only(against([now], elsewhere)).machine is None
    # Beside files that the processor computed, too, and these are not counted on.
    beside = [replace(each, artifact="on the processor") for each in before]
    ours = [paced(new(artifact="on the processor"), 1.0), now]
    (row,) = [each for each in against(ours, [*elsewhere, *beside]).rows if each.accelerator == "cuda"]
    assert row.machine is None
    assert slow([now.row], MACHINE, beside) == ""
    others = runs(2, 0.01, seed=9, mode="full")
    mixed = [replace(each, row={**each.row, "yardstick": "2", "yardstick_ms": [3.0] * 10}) for each in others]
    ratio = change(against([paced(new(10.0, mode="full"), 1.3)], [*mixed, *before]), "p50_ms").ratio
    assert ratio is not None
    assert ratio.value == pytest.approx(1.0, abs=0.02), "only measurements with this yardstick count"
    older = [replace(each, run=f"older-{each.run}") for each in runs(5, 0.3, 2.0, mode="full")]
    for baseline in (before, [*older, *before]):  # a baseline that goes back to before there were yardsticks
        with_older = against([paced(new(10.0, mode="full"), 1.3)], baseline, [*older, *before])
        assert only(with_older).machine == pytest.approx(1.3)
        assert only(with_older).repeats == 4, "measurements without it say nothing of these ratios"
        assert change(with_older, "p50_ms").verdict == "no difference"
        assert change(with_older, "load_ms").verdict == "no difference"


def test_all_processes_of_a_measurement_say_together_how_quick_the_machine_was() -> None:
    """The work differs from process to process: that of one file's own must not move its ratio."""
    others = [record(run="old", artifact=f"other{number}") for number in range(4)]
    before = [paced(each, 1.0) for each in (record(run="old", mode="full"), *others)]
    odd = paced(new(10.0, mode="full"), 1.0, yardstick_ms=[1.2] * 10)
    beside = [paced(new(artifact=f"other{number}"), 1.0) for number in range(4)]
    found = against([odd, *beside], before)
    (row,) = [each for each in found.rows if each.artifact == "onnx-int8"]
    assert row.machine == pytest.approx(1.0)
    assert row.changes[0].ratio is not None
    assert row.changes[0].ratio.value == pytest.approx(1.0)


def test_a_percentile_is_divided_round_by_round() -> None:
    """Four rounds on a machine a tenth slower: they are the 90th percentile of the rounds, and none of it is the file's."""
    before = [paced(each, 1.0) for each in runs(5, 0.001, mode="full")]
    slower = [1.0] * 6 + [1.1] * 4
    now = new(10.0, mode="full", yardstick="1", yardstick_ms=slower, rounds=[10.0 * pace for pace in slower])
    now = replace(now, row={**now.row, "p90_ms": 1.1 * now.row["p90_ms"]})
    found = change(against([now], before), "p90_ms").ratio
    assert found is not None
    assert found.value == pytest.approx(1.0, abs=0.02)


def test_what_the_yardstick_takes_with_it_is_no_spread_of_the_file() -> None:
    """A machine that is now quick and now slow, and a file that goes with it: its rounds differ, and its quotients do not."""
    restless = [1.0] * 5 + [1.6] * 5

    def measured(run: str, **of: Any) -> Record:
        rounds = [10.0 * pace for pace in restless]
        return record(13.0, run=run, mode="full", yardstick="1", yardstick_ms=restless, rounds=rounds, **of)

    before = [measured(str(number)) for number in range(5)]
    found = change(against([measured("new", bundle_sha256=NEW)], before), "p50_ms").ratio
    assert found is not None
    assert found.high / found.low < 1.2


def test_a_machine_that_is_slower_than_it_has_been_is_said_to_be() -> None:
    paces = [0.5, *[1.0] * 20, *[1.2] * 20]  # a lucky one sets no bar
    earlier = [paced(record(run=str(number)), pace) for number, pace in enumerate(paces)]
    for pace, said in ((1.04, False), (1.06, True), (0.7, False)):
        assert bool(slow([paced(new(), pace).row], MACHINE, earlier)) is said
    assert "took 1.06 ms, 1 when it was quick" in slow([paced(new(), 1.06).row], MACHINE, earlier)
    now = paced(new(), 2.0)
    assert slow([now.row], replace(MACHINE, cores=64), earlier) == ""
    assert slow([paced(new(), 2.0, kind="2").row], MACHINE, earlier) == ""
    assert slow([new(20.0).row], MACHINE, earlier) == ""
    assert slow([now.row], MACHINE, []) == ""
    # One file's row that was lucky is no quicker machine, and an unlucky one no slower: most rows of a measurement say it.
    lucky = [paced(record(run="0", artifact=str(number)), pace) for number, pace in enumerate((1.0, 1.0, 0.5))]
    assert slow([paced(new(), 1.04).row], MACHINE, lucky) == ""
    assert slow([paced(new(), pace).row for pace in (1.0, 1.0, 1.5)], MACHINE, lucky) == ""
    # All cores at once are slower than one, and say nothing of it.
    assert slow([paced(new(threads=2), 1.2).row], MACHINE, earlier) == ""
    assert slow([paced(new(target="other"), 1.2).row], MACHINE, earlier) == ""


def test_now_is_not_its_own_past_and_does_not_hide_its_change_in_the_spread() -> None:
    before = runs(3, 0.0, content="same", mode="full")
    now = record(14.0, run="new", content="same", mode="full")
    found = compare([now], Baseline("all", (*before, now)), [*before, now])
    assert (only(found).before, only(found).repeats) == (3, 2)
    assert only(found).same_file
    assert change(found, "p50_ms").before == pytest.approx(10.0)
    assert change(found, "p50_ms").verdict == "worse"
    again = [replace(now, run="new2"), replace(now, run="new3")]
    assert only(against([now, *again], before, [*before, now, *again])).repeats == 4


def test_what_a_build_measured_counts_once_however_often_it_is_kept() -> None:
    kept = [record(run=f"key 2026-01-02T03:04:05Z{more}") for more in ("", " tiny aaaaaa", " other bbbbbb")]
    found = against([new(10.5)], kept)
    assert (only(found).before, only(found).repeats) == (1, 0)
    assert only(against([new(10.5)], [*kept, record(run="key 2026-01-03T03:04:05Z tiny aaaaaa")])).repeats == 1
    now = [record(14.0, run=f"next 2026-01-04T03:04:05Z{more}", bundle_sha256=NEW) for more in ("", " tiny bbbbbb")]
    assert only(against(now, [record()])).now == 1
    assert only(compare(now[1:], Baseline("all", (*kept, now[0])), [*kept, *now])).before == 1


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "machine": (
        {"machine": replace(MACHINE, processor="other")},
        "another machine (other, 2 cores then, fake, 2 cores now)",
    ),
    "system": ({"machine": replace(MACHINE, system="Other")}, "another machine"),
    "version": ({"version": "2"}, "version 2 then, 1 now"),
    "emulated": ({"origin": "emulated"}, "origin emulated then, measured now"),
    "mode": ({"mode": "full"}, "mode full then, quick now"),
    "threads": ({"threads": 4}, "threads 4 then, 1 now"),
    "batch": ({"batch": 8}, "batch 8 then, 1 now"),
    "accelerator": ({"accelerator": "cuda"}, "accelerator cuda then, cpu now"),
    "target": ({"target": "phone"}, "was not measured on this target before"),
    "artifact": ({"artifact": "other"}, "was not measured on this target before"),
    "noisy then": ({"noisy": True}, "noisy then"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_alike_is_not_compared_and_said(name: str) -> None:
    changed, reason = OTHERS[name]
    row = only(against([new(30.0)], [record(10.0, **changed)]))
    assert reason in row.reason
    assert {each.quantity for each in row.changes} == ({"peak_rss_mb"} if name == "noisy then" else set())
    text = "\n".join(comparison_lines(against([new(30.0)], [record(10.0, **changed)])))
    assert f"not comparable: {row.reason}" in text


def test_noisy_now_says_how() -> None:
    row = only(against([new(30.0, noisy=True, noise="the halves differ")], [record(10.0)]))
    assert row.reason == "noisy now: the halves differ"


def test_noise_does_not_hide_what_it_does_not_touch() -> None:
    """On a busy machine no time says anything, and operators that came off the delegate are as far off."""
    noisy: dict[str, Any] = {"noisy": True, "noise": "the halves differ"}
    then = record(placement="XNNPACK, 1 partition", delegated=1.0, **noisy)
    now = new(30.0, placement="XNNPACK, 14 partitions", delegated=0.95, peak_rss_mb=140.0, **noisy)
    found = against([now], [then])
    assert [said.partition(": ")[2] for said in found.regressions] == [
        "peak memory",
        "share of operators on the accelerator",
        "partitions of the delegate",
    ]
    text = "\n".join(comparison_lines(found))
    assert "times not comparable: noisy now: the halves differ" in text
    assert "1 -> 14  WORSE" in text
    assert "times of 0 of 1 rows could be compared" in text


def test_a_noisy_run_among_quiet_ones_does_not_count() -> None:
    found = against([new(10.0)], [record(10.0), record(90.0, run="wild", noisy=True)])
    assert only(found).before == 1
    assert change(found, "p50_ms").before == pytest.approx(10.0)


def test_some_megabytes_of_memory_make_no_other_machine() -> None:
    assert only(against([new()], [record(machine=replace(MACHINE, memory_gb=24))])).reason == ""


def test_the_nearest_of_several_says_why() -> None:
    far, near = record(run="far", threads=4, mode="full"), record(run="near", threads=4)
    row = only(against([new()], [far, near]))
    assert (row.reason, row.differs) == ("threads 4 then, 1 now", {"threads": (4, 1)})
    assert only(against([new()], [far])).differs == {"threads": (4, 1), "mode": ("full", "quick")}
    elsewhere = record(machine=replace(MACHINE, processor="mode quick then, full now"))
    assert only(against([new()], [elsewhere])).differs == {}


def test_a_file_that_is_gone_is_said() -> None:
    before = [record(), record(threads=4), record(artifact="gone"), record(artifact="elsewhere", target="phone")]
    found = against([new()], before)
    assert found.unseen == ("onnx-int8 x4 on desk", "gone x1 on desk")
    assert any("gone" in line and "is not now" in line for line in comparison_lines(found))


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [(1.0, 0.95, "worse"), (0.9, 0.95, "better"), (0.95, 0.945, "no difference"), (0.96, 0.95, "worse")],
)
def test_operators_off_the_accelerator(then: float, now: float, verdict: str) -> None:
    found = against([new(delegated=now)], [record(delegated=then)])
    assert change(found, "delegated").verdict == verdict
    assert bool(found.regressions) == (verdict == "worse")


def test_a_share_that_is_not_known_is_not_compared() -> None:
    for then, now in ((None, 0.5), (0.5, None), (None, None)):
        found = against([new(delegated=now)], [record(delegated=then)])
        assert [each.quantity for each in only(found).changes].count("delegated") == 0


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        ("XNNPACK, 1 partition", "XNNPACK, 4 partitions", "worse"),
        ("XNNPACK, 4 partitions", "XNNPACK, 1 partition", "better"),
        ("XNNPACK, 1 partition", "reference kernels", "worse"),
        ("reference kernels", "XNNPACK, 9 partitions", "better"),
        ("XNNPACK, 12 partitions", "XNNPACK, 12 partitions", "no difference"),
    ],
)
def test_partitions(then: str, now: str, verdict: str) -> None:
    found = against([new(placement=now)], [record(placement=then)])
    assert change(found, "partitions").verdict == verdict


def test_memory_and_load() -> None:
    before = runs(5, 0.01)
    assert "onnx-int8 x1 on desk: peak memory" in against([new(peak_rss_mb=100.0)], before).regressions
    slow = [record(run=f"new{number}", bundle_sha256=NEW, load_ms=300.0) for number in range(3)]
    assert "onnx-int8 x1 on desk: load" in against(slow, before).regressions
    noisy = [slow[0], *(replace(each, row={**each.row, "noisy": True}) for each in slow[1:])]
    for few in ([new(load_ms=300.0)], noisy):  # one sample: anything may have come between
        assert change(against(few, before), "load_ms").verdict == "perhaps worse"
        assert against(few, before).regressions == []
    found = against([new(load_ms=300.0)], before)
    assert change(found, "load_ms").verdict == "perhaps worse"
    assert found.regressions == []
    found = against([new(peak_rss_mb=None, load_ms=0.0)], before)
    assert {each.quantity for each in only(found).changes} == {"p50_ms", "p90_ms"}


def test_accuracy_is_compared_on_the_same_images_only() -> None:
    good, bad = ({"balanced_accuracy": Interval(value, value - 0.02, value + 0.02)} for value in (0.7, 0.6))
    before = [record(data="d", metrics=good)]
    found = against([new(data="d", metrics=bad)], before)
    (answers,) = found.accuracy
    assert (answers.artifact, answers.target, answers.accelerator) == ("onnx-int8", "desk", "cpu")
    (worse,) = answers.changes
    assert worse.verdict == "worse"
    assert worse.interval == pytest.approx((-0.1 - 0.0283, -0.1 + 0.0283), abs=1e-4)
    assert "onnx-int8 on desk: balanced accuracy" in found.regressions
    assert against([new(data="e", metrics=bad)], before).accuracy == ()
    assert against([new()], before).accuracy == ()
    near = {"balanced_accuracy": Interval(0.69, 0.67, 0.71)}
    (answers,) = against([new(data="d", metrics=near)], before).accuracy
    assert answers.changes[0].verdict == "no difference"


def test_accuracy_is_compared_on_each_target_with_itself() -> None:
    """A phone that answers worse than the desk ever did is no regression of either."""
    good, bad = ({"balanced_accuracy": Interval(value, value - 0.02, value + 0.02)} for value in (0.7, 0.6))
    places: list[dict[str, Any]] = [{}, {"target": "phone"}, {"accelerator": "npu"}]
    said = [good, bad, bad]
    before = [record(data="d", metrics=metrics, **place) for place, metrics in zip(places, said, strict=True)]
    now = [new(data="d", metrics=metrics, **place) for place, metrics in zip(places, said, strict=True)]
    found = against(now, before)
    assert [(each.target, each.accelerator) for each in found.accuracy] == [
        ("desk", "cpu"),
        ("phone", "cpu"),
        ("desk", "npu"),
    ]
    assert found.regressions == []
    assert against(now[1:], before[:1]).accuracy == ()
    (line,) = [line for line in comparison_lines(found) if "phone" in line and "balanced accuracy" in line]
    assert "0.6000 -> 0.6000" in line
    now[1] = new(data="d", metrics={"balanced_accuracy": Interval(0.5, 0.48, 0.52)}, target="phone")
    first = replace(new(data="d", metrics=good, target="phone"), run="the first of two measurements")
    assert against([first, *now], before).regressions == against(now, before).regressions
    assert against(now, before).regressions == ["onnx-int8 on phone: balanced accuracy"]


def test_a_comparison_is_json() -> None:
    content = against([new(12.0)], runs(5, 0.01)).to_json()
    assert content["regressions"]
    assert content["rows"][0]["changes"][0]["ratio"]["value"] == pytest.approx(1.2, rel=0.02)
    assert content["baseline"] == "earlier"
    assert OLD not in str(content)
