"""An Android phone, as far as one can go without one: adb's protocol by adbutils' own fake server, a real shell behind it."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.android import NO_SPACE, SERIAL, FakePhone

from edgetl.config import target as targets
from edgetl.devices import latency
from edgetl.devices.adb import Adb, AdbTarget
from edgetl.devices.adb import phone as phones
from edgetl.devices.adb.benchmark_model import parsed
from edgetl.devices.adb.link import Link
from edgetl.devices.adb.running import _pieces
from edgetl.errors import DeviceError, EdgetlError, IntegrityError, RecipeError
from edgetl.runtime.errors import WorkerError
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Effort
from edgetl.runtime.sessions.tflite import open_session

TINY = Path(__file__).parents[1] / "tiny.tflite"


def artifact(name: str = "tflite-int8", backend: str = "tflite", precision: Any = "int8") -> Artifact:
    return Artifact(name, "student", backend, precision, f"models/{name}", "0" * 64, 1)


@pytest.fixture
def opened(phone: FakePhone, program: Path, tmp_path: Path) -> Iterator[Callable[..., Adb]]:
    """Opens the phone with a target's fields; closed at the end."""
    devices = []

    def open_(**fields: Any) -> Adb:
        fields.setdefault("benchmark", str(program))
        fields.setdefault("sha256", hashlib.sha256(program.read_bytes()).hexdigest())
        fields.setdefault("folder", str(tmp_path / "data" / "edgetl"))
        devices.append(Adb(AdbTarget.model_validate({"name": "phone", "kind": "adb", **fields})))
        return devices[-1]

    yield open_
    for device in devices:
        device.close()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with one model whose times are told."""
    (tmp_path / "bundle" / "models").mkdir(parents=True)
    (tmp_path / "bundle" / "models" / "tflite-int8").write_text("times 5100 5200 5300\n")
    return tmp_path / "bundle"


def processes(tmp_path: Path) -> list[str]:
    """Command lines of what runs out of the phone's folder."""
    said = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if str(tmp_path / "data") in line and "ps -ww" not in line]


def gone(tmp_path: Path, within_s: float = 10.0) -> bool:
    """Whether nothing of the phone's runs any more, soon."""
    end = time.monotonic() + within_s
    while processes(tmp_path):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# What it measures


def test_each_run_is_told_apart(opened: Callable[..., Adb], bundle: Path) -> None:
    device = opened()
    with device.worker(device.push(bundle), artifact(), 4).start() as running:
        ready = running.ready()
        times = running.run(8)
        assert running.quit() == pytest.approx(25.5 * 2**20 / 1e6)
    assert (ready["load_ms"], ready["first_ms"]) == (12.5, 9.0)
    assert len(times) == 8
    assert set(times) <= {5.1, 5.2, 5.3}
    assert sorted(times[:3]) == sorted(times[3:6]) == [5.1, 5.2, 5.3]
    assert ready["accelerator"] == "cpu"
    assert ready["placement"] == "TfLiteXNNPackDelegate, 60 of 60 operators, 1 partition"
    assert ready["compute_precision"] == "not told (int8 file)"


def test_what_it_computes_is_what_the_file_computes(opened: Callable[..., Adb], tmp_path: Path) -> None:
    (tmp_path / "b" / "models").mkdir(parents=True)
    (tmp_path / "b" / "models" / "tflite-int8").write_bytes(TINY.read_bytes())
    tensors = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    np.save(tmp_path / "b" / "tensors.npy", tensors)
    program = tmp_path / "benchmark_model"
    program.write_text(program.read_text().replace(" -S\n", "\n", 1))  # it imports LiteRT
    device = opened(sha256=hashlib.sha256(program.read_bytes()).hexdigest())
    there = device.push(tmp_path / "b")
    with device.worker(there, artifact(), 1).start() as running:
        got = running.outputs(str(there / "tensors.npy"), 1, 2)
    here = open_session(TINY, 1, {})
    assert got is not None
    assert np.array_equal(got, np.concatenate([here.run(tensor[None]) for tensor in tensors[1:]]))
    assert not np.array_equal(got[0], got[1])


def test_a_row_of_a_phone_is_a_row_like_others(
    opened: Callable[..., Adb], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened(threads=[4])
    monkeypatch.setattr(latency, "open_device", lambda target: device)
    effort = Effort(rounds=2, runs=12, seconds=0.0, limit_s=8.0, warm_up_s=0.0)
    monkeypatch.setitem(__import__("edgetl.devices.adb", fromlist=["EFFORTS"]).EFFORTS, "quick", effort)
    both = [(bundle, artifact()), (bundle, artifact("onnx-int8", "onnx"))]
    found = latency.latency(device._target, both, {}, "quick", lambda *_: None)
    (row,) = found.rows["tflite-int8"]
    (other,) = found.unmeasured
    assert (other.name, other.left_out, other.disagrees) == ("onnx-int8", True, False)
    assert other.reason == "benchmark_model runs TFLite files only"
    assert 5.1 <= row.p50_ms <= row.p90_ms <= row.p99_ms <= 5.3
    assert (row.threads, row.origin, row.runtime) == (4, "measured", "benchmark_model")
    assert row.peak_rss_mb == pytest.approx(26.7, abs=0.1)
    assert row.cold_ms is None
    assert row.before is not None
    assert row.after is not None
    assert (row.before.battery_c, row.after.battery_percent) == (25.1, 87)
    assert "the screen is on: turn it off" in row.cautions


def test_a_model_that_fails_is_named_with_its_last_error(opened: Callable[..., Adb], bundle: Path) -> None:
    (bundle / "models" / "tflite-int8").write_text("fail Node number 57 (BATCH_MATMUL) failed to prepare.\n")
    device = opened()
    with (
        device.worker(device.push(bundle), artifact(), 1).start() as running,
        pytest.raises(WorkerError, match=r"last error: Node number 57 \(BATCH_MATMUL\) failed to prepare"),
    ):
        running.ready()


def test_a_bundle_without_tflite_files_is_said(
    opened: Callable[..., Adb], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened()
    monkeypatch.setattr(latency, "open_device", lambda target: device)
    with pytest.raises(DeviceError, match="got no file that can be measured there, expected one"):
        latency.latency(device._target, [(bundle, artifact("onnx-int8", "onnx"))], {}, "quick", lambda *_: None)


@pytest.mark.parametrize(("took", "works"), [("completely", True), ("partially", False), ("none", False)])
@pytest.mark.parametrize("allowed", [False, True])
def test_an_accelerator_that_falls_back_is_an_error_unless_allowed(
    opened: Callable[..., Adb], bundle: Path, took: str, works: bool, allowed: bool
) -> None:
    (bundle / "models" / "tflite-int8").write_text(f"gpu {took}\n")
    device = opened(accelerator="gpu", allow_fallback=allowed)
    with device.worker(device.push(bundle), artifact(), 1).start() as running:
        if not works and not allowed:
            with pytest.raises(WorkerError, match="'gpu' does not take all operators"):
                running.ready()
            return
        ready = running.ready()
    assert ready["accelerator"] == ("cpu" if took == "none" else "gpu")
    assert (
        ready["placement"]
        == {
            "completely": "TfLiteGpuDelegateV2, 60 of 60 operators, 1 partition",
            "partially": "TfLiteGpuDelegateV2, 41 of 60 operators, 1 partition",
            "none": "TfLiteXNNPackDelegate, 60 of 60 operators, 1 partition",
        }[took]
    )


@pytest.mark.parametrize(
    "lines",
    [
        # What NNAPI's delegate prints where the driver refuses the graph afterwards.
        [
            "VERBOSE: Replacing 31 out of 31 node(s) with delegate (TfLiteNnapiDelegate) node, yielding 1 partitions.",
            "INFO: Though NNAPI delegate is explicitly applied, the model graph will not be executed by the delegate.",
        ],
        # With `flags: {use_xnnpack: "true"}`, XNNPACK is one that was asked for too.
        [
            "INFO: Though NNAPI delegate is explicitly applied, the model graph will not be executed by the delegate.",
            "VERBOSE: Replacing 31 out of 31 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions.",
            "INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate.",
        ],
    ],
)
def test_only_the_accelerator_s_own_delegate_counts_for_it(lines: list[str]) -> None:
    sums = ["INFO: count=1 curr=5100"] * 2
    timings = "INFO: Inference timings in us: Init: 12500, First inference: 9000, Warmup (avg): 1, Inference (avg): 1"
    found = parsed("\n".join([*lines, *sums, timings]), "nnapi")
    assert (found.complete, found.accelerated) == (False, 0)
    assert found.delegate in ("", "TfLiteXNNPackDelegate")


def test_more_starts_than_one_request_holds_are_sent_in_pieces(
    opened: Callable[..., Adb], phone: FakePhone, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened()
    with device.worker(device.push(bundle), artifact(), 1).start() as running:
        running.run(3)
        longest = len(phone.calls[-1].encode())
        monkeypatch.setattr("edgetl.devices.adb.running.LONGEST", longest)
        phone.calls.clear()
        assert len(running.run(13)) == 13
    assert len(phone.calls) == 5, "as many pieces as starts, where a second one has no room"
    assert all(len(call.encode()) <= longest for call in phone.calls)


@pytest.mark.parametrize(
    ("room", "sizes"), [(10, [2, 2, 1]), (9, [1] * 5), (14, [2, 2, 1]), (15, [3, 2]), (1, [1] * 5)]
)
def test_a_piece_is_as_large_as_fits_and_at_least_one(room: int, sizes: list[int]) -> None:
    lines = [f"{number}-é-" for number in range(5)]  # five bytes each
    pieces = list(_pieces(lines, room))
    assert [len(piece) for piece in pieces] == sizes
    assert [line for piece in pieces for line in piece] == lines


# What is on the device


def test_a_file_is_sent_once_and_again_when_its_bytes_change(
    opened: Callable[..., Adb], phone: FakePhone, bundle: Path
) -> None:
    def used() -> None:
        device = opened()
        with device.worker(device.push(bundle), artifact(), 1).start() as running:
            running.ready()
        device.close()

    used()
    assert len(phone.sent()) == 2  # the program and the model
    used()
    assert len(phone.sent()) == 2
    (bundle / "models" / "tflite-int8").write_text("times 5100 5200 5301\n")  # the same size
    used()
    assert len(phone.sent()) == 3


def test_a_kept_file_that_was_changed_is_sent_again(opened: Callable[..., Adb]) -> None:
    """The same size, one bit of each byte."""
    device = opened()
    content = os.urandom(16)
    kept = Path(device._storage.keep(content))
    for number in range(len(content)):
        kept.write_bytes(content[:number] + bytes([content[number] ^ 1 << number % 8]) + content[number + 1 :])
        device._storage._vouched.clear()
        assert device._storage.keep(content) == str(kept)
        assert kept.read_bytes() == content


def test_nothing_but_files_by_their_hash_stays(opened: Callable[..., Adb], tmp_path: Path, bundle: Path) -> None:
    device = opened()
    there = device.push(bundle)
    with device.worker(there, artifact(), 1).start() as running:
        running.ready()
    device.close()
    left = sorted(path.name for path in (tmp_path / "data" / "edgetl").rglob("*") if path.is_file())
    assert left == sorted(
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "benchmark_model", bundle / "models" / "tflite-int8")
    )
    assert list((tmp_path / "data" / "edgetl" / "runs").iterdir()) == []


def test_what_was_cut_off_long_ago_is_removed(opened: Callable[..., Adb], tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data" / "edgetl"
    old, new = data / "runs" / "old", data / "runs" / "new"
    part = data / "files" / ("0" * 64 + ".1.part")
    for folder in (old, new, part.parent):
        folder.mkdir(parents=True)
    part.write_text("half")
    for path in (old, part):
        os.utime(path, (time.time() - 200_000,) * 2)
    device = opened()
    device.worker(device.push(bundle), artifact(), 1)
    assert not old.exists()
    assert not part.exists()
    assert new.exists()


# The pinned binary


def test_another_binary_is_never_sent(
    opened: Callable[..., Adb], phone: FakePhone, program: Path, bundle: Path
) -> None:
    device = opened(sha256="0" * 64)
    with pytest.raises(IntegrityError, match="it was not run") as caught:
        device.worker(device.push(bundle), artifact(), 1)
    assert caught.value.exit_code == 5
    assert phone.sent() == []


def test_one_that_changed_on_the_device_is_not_run(
    opened: Callable[..., Adb], tmp_path: Path, program: Path, bundle: Path
) -> None:
    kept = tmp_path / "data" / "edgetl" / "files" / hashlib.sha256(program.read_bytes()).hexdigest()
    kept.parent.mkdir(parents=True)
    kept.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    kept.chmod(0o755)
    device = opened()
    with device.worker(device.push(bundle), artifact(), 1).start() as running:
        running.ready()
    assert not (tmp_path / "pwned").exists()
    assert kept.read_bytes() == program.read_bytes()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"benchmark": "${NOT_SET_HERE}"}, "benchmark: the environment variable NOT_SET_HERE is not set"),
        ({"sha256": "${NOT_SET_HERE}"}, "sha256: the environment variable NOT_SET_HERE is not set"),
        ({"sha256": "abc"}, "expected 64 hexadecimal digits"),
        ({"benchmark": "/nowhere/benchmark_model"}, "cannot be read: No such file"),
    ],
)
def test_a_binary_that_is_not_there_is_explained(
    opened: Callable[..., Adb], bundle: Path, fields: dict[str, str], said: str
) -> None:
    device = opened(**fields)
    with pytest.raises(RecipeError, match=said.replace("(", r"\(")) as caught:
        device.worker(device.push(bundle), artifact(), 1)
    assert caught.value.hint


# Which device


@pytest.mark.parametrize(
    ("states", "environment", "said", "hint"),
    [
        ({}, "", "no Android device is attached", "USB debugging"),
        ({SERIAL: "unauthorized"}, "", "has not allowed this computer", "accept 'Allow USB debugging"),
        ({SERIAL: "offline"}, "", "does not answer", "plug it in again"),
        ({SERIAL: "no permissions (missing udev rules?)"}, "", "may not be opened by this user", "udev"),
        ({SERIAL: "bootloader"}, "", "is in its bootloader", "restart it"),
        ({SERIAL: "odd"}, "", 'is in the state "odd"', "restart it"),
        (
            {SERIAL: "device", "OTHER": "device"},
            "",
            '2 Android devices are attached: "FAKE0001", "OTHER"',
            "ANDROID_SERIAL",
        ),
        ({SERIAL: "device"}, "THIRD", 'no Android device has the serial "THIRD"', 'attached: "FAKE0001"'),
    ],
)
def test_a_device_that_cannot_be_used_is_one_line_with_its_fix(
    phone: FakePhone, monkeypatch: pytest.MonkeyPatch, states: dict[str, str], environment: str, said: str, hint: str
) -> None:
    phone.states = states
    if environment:
        monkeypatch.setenv("ANDROID_SERIAL", environment)
    with pytest.raises(DeviceError) as caught:
        Link(None)
    assert said in caught.value.message
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 4
    assert "\n" not in caught.value.message


def test_a_serial_chooses_among_several(phone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.states = {SERIAL: "device", "OTHER": "unauthorized"}
    monkeypatch.setenv("ANDROID_SERIAL", "OTHER")
    assert Link(SERIAL).run(["echo", "here"]) == (0, "here\n")


def test_a_phone_with_and_without_its_serial_is_one_machine(phone: FakePhone, opened: Callable[..., Adb]) -> None:
    named, only = opened(serial=SERIAL), opened()
    assert named._target.find_machine() == only._target.find_machine() == f"adb {SERIAL}"
    assert named.info() == only.info()
    phone.states["OTHER"] = "device"
    assert only._target.find_machine() != named._target.find_machine(), (
        "which of them is not known, and is an error where it is used"
    )
    phone.states = {SERIAL: "offline"}
    assert only._target.find_machine() == "adb the only one"


def test_no_adb_server_is_said(phone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    with pytest.raises(DeviceError, match=r"the adb server does not start \(exit code 1\)") as caught:
        Link(None)
    assert "adb start-server" in str(caught.value.hint)


def test_a_file_that_arrives_otherwise_is_neither_kept_nor_run(
    opened: Callable[..., Adb], phone: FakePhone, tmp_path: Path, bundle: Path
) -> None:
    phone.spoils = True
    device = opened()
    with pytest.raises(DeviceError, match="did not arrive on the device as it was sent"):
        device.worker(device.push(bundle), artifact(), 1)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_a_full_device_says_so_and_keeps_no_half(
    opened: Callable[..., Adb], phone: FakePhone, tmp_path: Path, bundle: Path
) -> None:
    phone.full = True
    device = opened()
    with pytest.raises(DeviceError, match=NO_SPACE) as caught:
        device.worker(device.push(bundle), artifact(), 1)
    assert "storage is full" in str(caught.value.hint)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_the_shipped_target_names_no_device() -> None:
    shipped = targets.load("android_adb", Path("/nowhere"))
    assert isinstance(shipped, AdbTarget)
    assert shipped.serial is None
    assert shipped.benchmark.startswith("${")


@pytest.mark.parametrize("flags", [{"graph": "x"}, {"num_runs": "1"}, {"a;b": "1"}, {"use_xnnpack": "a\nb"}])
def test_flags_that_edgetl_sets_or_that_are_none_are_refused(flags: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        AdbTarget.model_validate({"name": "phone", "kind": "adb", "flags": flags})


# Lost in the middle


def test_one_that_goes_on_talking_is_ended_in_time(
    opened: Callable[..., Adb], tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle / "models" / "tflite-int8").write_text("talk 8\n")
    monkeypatch.setattr("edgetl.devices.adb.running._START_S", 1.0)
    device = opened()
    start = time.monotonic()
    with (
        device.worker(device.push(bundle), artifact(), 1).start() as running,
        pytest.raises(WorkerError, match="did not answer in time"),
    ):
        running.ready()
    assert time.monotonic() - start < 7
    assert gone(tmp_path, within_s=5)


@pytest.mark.parametrize("point", range(20))
def test_a_device_that_is_lost_ends_it_and_leaves_nothing_running(
    opened: Callable[..., Adb], phone: FakePhone, tmp_path: Path, bundle: Path, point: int
) -> None:
    """Twenty points: every service in turn, and some time into it."""
    (bundle / "models" / "tflite-int8").write_text("hang 0.05\n")
    phone.unplug_at = point + 1
    phone.unplug_after_s = random.Random(point).uniform(0.0, 0.08)
    device = opened()

    def used() -> None:
        with device.worker(device.push(bundle), artifact(), 1).start() as running:
            running.ready()
            for _ in range(40):
                running.run(3)

    with pytest.raises(EdgetlError) as caught:
        used()
    device.close()
    assert caught.value.exit_code == 4
    assert "unplugged" in caught.value.message or "no Android device" in caught.value.message
    assert SERIAL not in str(caught.value)
    assert gone(tmp_path)


def test_what_hangs_is_ended_on_the_device_too(
    opened: Callable[..., Adb], tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle / "models" / "tflite-int8").write_text("hang 60\n")
    monkeypatch.setattr("edgetl.devices.adb.running._START_S", 1.0)
    device = opened()
    with (
        device.worker(device.push(bundle), artifact(), 1).start() as running,
        pytest.raises(WorkerError, match="did not answer in time"),
    ):
        running.ready()
    assert gone(tmp_path)


# Names

NAUGHTY = [
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned;",
    "&& touch pwned",
    "| touch pwned",
    "' ; touch pwned ; '",
    '" ; touch pwned ; "',
    "\\",
    "--output_filepath=pwned",
    "-rf",
    "${IFS}touch${IFS}pwned",
    "$((1)) *? [a] ~ !x #",
    "a,b:c,33261",
    "%s%n {} {folder} {commands}",
    "名前 é 👩‍🔬 \u202e",
    "<script>alert(1)</script>"[:24],
    "1;DROP TABLE users",
    "CON nul",
]
"""Of the kinds in github.com/minimaxir/big-list-of-naughty-strings, with something to be seen where one is run."""


@pytest.mark.parametrize("name", NAUGHTY)
def test_a_name_is_only_a_name(
    opened: Callable[..., Adb], phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As a bundle, a file and a folder of the device; none but the last is used there at all."""
    monkeypatch.chdir(tmp_path)
    file = f"models/{name}".replace("</", "<")
    (tmp_path / "here" / name / file).parent.mkdir(parents=True)
    (tmp_path / "here" / name / file).write_text("times 5100\n")
    device = opened(folder=f"{tmp_path}/data/{name}/edgetl")
    there = device.push(tmp_path / "here" / name)
    entry = Artifact(name, "student", "tflite", "int8", file, "0" * 64, 1)
    with device.worker(there, entry, 1).start() as running:
        running.ready()
        assert running.run(2) == [5.1, 5.1]
    kept = sorted(path.parent for path in (tmp_path / "data" / name).rglob("*") if path.is_file())
    assert kept == [tmp_path / "data" / name / "edgetl" / "files"] * 2
    assert list(tmp_path.rglob("pwned")) == []
    device.close()
    assert list((tmp_path / "data" / name / "edgetl" / "runs").iterdir()) == []


@pytest.mark.parametrize("folder", ["relative", "/a\nb", "/a\0b", "/" + "a" * 300])
def test_a_folder_that_is_no_path_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="String should match pattern"):
        AdbTarget.model_validate({"name": "phone", "kind": "adb", "folder": folder})


# What the phone says of itself


def test_it_says_what_it_is_but_not_which(opened: Callable[..., Adb]) -> None:
    info = opened().info()
    assert info.processor == "Maker Model 9, Chips C1"
    assert (info.system, info.machine, info.cores) == ("Android 14", "arm64-v8a", len(os.sched_getaffinity(0)))
    assert SERIAL not in str(info)


def test_its_state_and_what_disturbs(opened: Callable[..., Adb]) -> None:
    state = phones.state(opened()._link)
    assert (state["battery_percent"], state["battery_c"], state["charging"]) == (87, 25.1, True)
    assert (state["airplane_mode"], state["battery_saver"], state["screen_on"]) == (False, False, True)
    assert [words.partition(":")[0].partition(",")[0] for words in phones.cautions(state)] == [
        "airplane mode is off",
        "the screen is on",
        "it is charging",
    ]
    quiet = {
        "airplane_mode": True,
        "screen_on": False,
        "battery_saver": False,
        "charging": False,
        "battery_percent": 20,
    }
    assert phones.cautions(quiet) == phones.cautions({}) == []
    assert [words.partition(":")[0] for words in phones.cautions({"battery_percent": 12, "throttling": 2})] == [
        "Android says that it is throttled",
        "the battery is under 20 %",
    ]
