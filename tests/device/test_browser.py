"""A browser's page over the protocol of docs/browser-protocol.md: a scripted client, and hostile ones."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import model_bundle
import numpy as np
import pytest
from fakes.page import HELLO, Page
from PIL import Image

from edgetl.devices import browser as browsers
from edgetl.devices import latency
from edgetl.devices.browser import Browser, BrowserTarget, answers
from edgetl.devices.browser.session import Session
from edgetl.errors import DeviceError, RecipeError
from edgetl.runtime.errors import WorkerError
from edgetl.runtime.golden import Known
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Effort, measure
from edgetl.runtime.sessions.tflite import open_session
from edgetl.runtime.subjects import Failure

TINY = Path(__file__).parents[1] / "tiny.tflite"
ARTIFACT = Artifact("tflite-fp32", "student", "tflite", "fp32", "models/tiny.tflite", "0" * 64, 1)
SHORT = Effort(rounds=2, runs=12, seconds=0.0, limit_s=2.0, warm_up_s=0.0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Browser]]:
    """Opens the device with a target's fields; no address of a test is left listening."""
    monkeypatch.setattr("edgetl.devices.browser.session._LEAVE_S", 0.05)

    def open_(**fields: Any) -> Browser:
        return Browser(BrowserTarget.model_validate({"name": "browser", "kind": "browser", "wait_s": 20, **fields}))

    yield open_
    for site in browsers._SITES.values():
        site.close()
    browsers._SITES.clear()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with one real model and three tensors."""
    (tmp_path / "bundle" / "models").mkdir(parents=True)
    (tmp_path / "bundle" / "models" / "tiny.tflite").write_bytes(TINY.read_bytes())
    np.save(tmp_path / "bundle" / "tensors.npy", np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8))
    return tmp_path / "bundle"


def known(bundle: Path, there: Path, off: float = 0.0) -> Known:
    """What the tensors of the bundle must give."""
    session = open_session(TINY, 1, {})
    tensors = np.load(bundle / "tensors.npy")
    expected = np.concatenate([session.run(tensor[None]) for tensor in tensors]) + np.float32(off)
    return Known(str(there), ARTIFACT.name, str(there / "tensors.npy"), expected, 1e-4)


# A page that does what it should


def test_a_page_gives_a_row_like_others(
    opened: Callable[..., Browser], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened()
    page = Page(device.site.url, tmp_path).start()
    monkeypatch.setattr(latency, "open_device", lambda target: device)
    monkeypatch.setitem(__import__("edgetl.runtime.measuring", fromlist=["EFFORTS"]).EFFORTS, "quick", SHORT)
    found = latency.latency(device._target, [(bundle, ARTIFACT)], {}, "quick", lambda *_: None)
    (row,) = found.rows["tflite-fp32"]
    assert (row.target, row.origin, row.runtime, row.accelerator) == ("browser", "measured", "ai-edge-litert", "cpu")
    assert row.placement.endswith("; the page's clock has steps of 0.005 ms")
    assert 0 < row.p50_ms <= row.p90_ms <= row.p99_ms
    assert row.peak_rss_mb is None
    assert row.cold_ms is None
    assert [command["do"] for command in page.done][:2] == ["load", "run"]
    assert page.done[-1]["do"] == "quit"
    assert device.info().processor == "Scripted 1.0"


def test_golden_outputs_come_before_times(opened: Callable[..., Browser], bundle: Path, tmp_path: Path) -> None:
    device = opened()
    page = Page(device.site.url, tmp_path).start()
    there = device.push(bundle)
    worker = device.worker(there, ARTIFACT, 1)
    (good,) = measure([worker], effort=SHORT, known={worker.name: known(bundle, there)})
    assert not isinstance(good, Failure)
    assert [command["do"] for command in page.done][:3] == ["load", "outputs", "run"]
    page.done.clear()
    (bad,) = measure([worker], effort=SHORT, known={worker.name: known(bundle, there, off=0.01)})
    assert isinstance(bad, Failure)
    assert bad.exit_code == 5
    assert "computes something else here" in bad.reason
    assert [command["do"] for command in page.done] == ["load", "outputs", "quit"]


def test_one_page_serves_all_measurements_of_a_target(opened: Callable[..., Browser], tmp_path: Path) -> None:
    Page(opened().site.url, tmp_path).start()
    assert opened().info() == opened().info()
    assert len(browsers._SITES) == 1


@pytest.mark.parametrize(("formats", "labelled"), [(["tflite"], True), (["tflite", "onnx"], False)])
def test_the_command_measures_what_the_page_runs_and_ends(tmp_path: Path, formats: list[str], labelled: bool) -> None:
    bundle = model_bundle.make_bundle(tmp_path / "bundle", tmp_path)
    words = [sys.executable, "-m", "edgetl", "bench", str(bundle), "--target", "browser", "--quick", "--json"]
    if labelled:  # the address is told while what decoders print is captured
        for seed, label in enumerate(model_bundle.LABELS * 2):
            (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"data/{label}/{seed}.png")
        words += ["--data", "folder:data"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("open in the browser: "))
        url = line.removeprefix("open in the browser: ").strip()
        page = Page(url, tmp_path, {**HELLO, "formats": formats}).start()
        out, _ = process.communicate(timeout=120)
    page.join()
    assert page.dismissed
    content = json.loads(out)
    assert set(content["latency"]) == {"tiny.fp32.tflite"}
    assert set(content.get("metrics", {})) == ({"tiny.fp32.tflite"} if labelled else set())
    said = {each["name"]: (each["left_out"], each["reason"]) for each in content["unmeasured"]}
    assert said["tiny.fp32.openvino"] == (True, "no browser runs OpenVINO's files")
    left_out, reason = said["tiny.fp32.onnx"]
    if formats == ["tflite"]:
        assert (left_out, reason) == (True, "the page runs tflite files only")
        assert process.returncode == 0, "all that it says it runs was measured"
    else:
        assert not left_out
        assert reason.startswith("the page says: does not load")
        assert process.returncode == 4


def test_at_the_end_the_page_is_told(
    opened: Callable[..., Browser], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetl.devices.browser.session._LEAVE_S", 10)
    device = opened()
    page = Page(device.site.url, tmp_path).start()
    device.info()
    device.site.close()
    browsers._SITES.clear()
    page.join()
    assert page.dismissed


# A page that does not


@pytest.mark.parametrize(
    ("do", "answer", "said"),
    [
        ("load", {"failed": "no WebAssembly"}, "the page says: no WebAssembly"),
        ("load", {"failed": "\n" * 9}, r"the page says: \(nothing\)"),
        ("load", {"failed": 1}, "something else than expected"),
        ("load", {"load_ms": 1}, "first_ms, .* missing"),
        ("run", {"times_ms": [1.0]}, "expected 2 values"),
        ("run", {"times_ms": [1.0, 0.0]}, "clock is too coarse"),
        ("run", {"times_ms": [1.0, -1.0]}, "a number from 0 to"),
        ("run", {"times_ms": [1.0, 1e9]}, "a number from 0 to"),
        ("run", {"times_ms": [1.0, True]}, "a number from 0 to"),
        ("run", {"times_ms": [1.0, "2"]}, "a number from 0 to"),
        ("run", {"times_ms": [1.0, 2.0], "more": 1}, "unknown"),
        ("outputs", {"rows": [[0.5, 0.5]]}, "expected 3 values"),
        ("outputs", {"rows": [[0.5, 0.5], [0.5, 0.5], [1.0]]}, "equally long"),
        ("outputs", {"rows": [[0.5, 1.5]] * 3}, "a number from 0 to 1"),
        ("quit", {"peak_mb": "much"}, "a number from 0 to"),
    ],
)
def test_a_wrong_answer_is_a_failure_of_its_row(
    opened: Callable[..., Browser], bundle: Path, tmp_path: Path, do: str, answer: dict[str, Any], said: str
) -> None:
    device = opened()
    page = Page(device.site.url, tmp_path)
    page.wrong[do] = answer
    page.start()
    there = device.push(bundle)

    def used() -> None:
        with device.worker(there, ARTIFACT, 1).start() as running:
            running.ready()
            running.outputs(str(there / "tensors.npy"), 0, 3)
            running.run(2)
            running.quit()

    with pytest.raises(WorkerError, match=said) as caught:
        used()
    assert caught.value.exit_code == 4


def test_files_of_which_the_page_runs_none_are_an_error(
    opened: Callable[..., Browser], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened()
    page = Page(device.site.url, tmp_path, {**HELLO, "formats": ["onnx"]}).start()
    monkeypatch.setattr(latency, "open_device", lambda target: device)
    with pytest.raises(DeviceError, match="got no file that can be measured there") as caught:
        latency.latency(device._target, [(bundle, ARTIFACT)], {}, "quick", lambda *_: None)
    assert "tflite: the page runs onnx files only" in str(caught.value.hint)
    assert page.done == []


def test_lasting_load_leaves_out_what_the_page_does_not_run(
    opened: Callable[..., Browser], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened()
    Page(device.site.url, tmp_path).start()
    other = replace(ARTIFACT, name="onnx-fp32", backend="onnx")
    monkeypatch.setattr(latency, "open_device", lambda target: device)
    monkeypatch.setattr(latency, "known", lambda *_: None)
    monkeypatch.setattr(latency, "sustain", lambda plan, *_, names, **__: names)
    manifest: Any = SimpleNamespace(artifacts=(ARTIFACT, other))
    kept, without = latency.sustained(device._target, bundle, manifest, 1, lambda *_: None)
    assert kept == ["tflite-fp32"]  # type: ignore[comparison-overlap]
    assert [(each.name, each.left_out) for each in without] == [("onnx-fp32", True)]


def test_what_runs_is_known_of_the_page_that_is_there(
    opened: Callable[..., Browser], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = opened()
    assert set(browsers.presence(device._target).without) == {"openvino"}
    Page(device.site.url, tmp_path).claim()
    device.info()
    assert set(browsers.presence(device._target).without) == {"openvino", "onnx"}
    monkeypatch.setattr("edgetl.devices.browser.session._AWAY_S", 0.0)
    assert set(browsers.presence(device._target).without) == {"openvino"}, "another one may run others"


def test_no_page_is_an_error_in_time(opened: Callable[..., Browser]) -> None:
    with pytest.raises(DeviceError, match="no page came within 0 s") as caught:
        opened(wait_s=0.1).info()
    assert caught.value.exit_code == 4


def test_a_page_that_falls_silent_costs_one_wait(opened: Callable[..., Browser], bundle: Path, tmp_path: Path) -> None:
    device = opened(answer_s=2.0)
    Page(device.site.url, tmp_path).claim()
    there = device.push(bundle)
    start = time.monotonic()
    for _ in range(3):
        with (
            device.worker(there, ARTIFACT, 1).start() as running,
            pytest.raises(WorkerError, match="did not answer for 2 s"),
        ):
            running.ready()
    assert time.monotonic() - start < 5, "the first one alone"


@pytest.mark.parametrize("how", ["silent", "closed"])
def test_a_page_that_is_gone_is_replaced_by_what_is_measured_next(
    opened: Callable[..., Browser], bundle: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened()
    lost = Page(first.site.url, tmp_path)
    lost.claim()
    assert opened().site.url == first.site.url, "it may still come back"
    with monkeypatch.context() as patch:
        if how == "silent":
            patch.setattr(browsers, "_QUIT_S", 0.01)
            with pytest.raises(WorkerError, match="did not answer"):
                first.ask("tiny", "quit", answers.peak, artifact="tiny")
        else:
            patch.setattr("edgetl.devices.browser.session._AWAY_S", -1.0)
        second = opened()
        assert second.site.url != lost.url
    assert second.site.url.startswith(f"{lost.base}/"), "the port stays"
    assert lost.send(f"{lost.base}/next", {})[0] == 403
    Page(second.site.url, tmp_path).start()
    with second.worker(second.push(bundle), ARTIFACT, 1).start() as running:
        assert running.ready()["ready"]


def test_a_page_is_there_as_long_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("edgetl.devices.browser.session.time.monotonic", lambda: now[0])
    session = Session()
    assert not session.gone, "nobody came"
    session.claim(answers.hello(HELLO))
    for asks in (lambda: None, lambda: session.next(0.0), lambda: session.answer("none", {})):
        asks()
        now[0] += 29
        assert not session.gone
    now[0] += 2
    assert session.gone


def test_an_address_that_nobody_came_to_is_told_again(
    opened: Callable[..., Browser], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = opened().site.url
    assert opened().site.url == url
    Page(url, tmp_path).claim()
    assert opened().site.url == url
    assert capsys.readouterr().err == f"open in the browser: {url}\n" * 2


def test_what_the_page_has_fetched_is_let_go_of(opened: Callable[..., Browser], bundle: Path, tmp_path: Path) -> None:
    device = opened()
    page = Page(device.site.url, tmp_path)
    page.wrong["outputs"] = {"failed": "no"}
    page.start()
    there = device.push(bundle)
    with device.worker(there, ARTIFACT, 1).start() as running:
        running.ready()
        assert device.site.session.files == {}
        with pytest.raises(WorkerError, match="the page says: no"):
            running.outputs(str(there / "tensors.npy"), 0, 3)
    page.wrong["load"] = {"failed": "no"}
    with device.worker(there, ARTIFACT, 1).start() as running, pytest.raises(WorkerError, match="the page says: no"):
        running.ready()
    assert device.site.session.files == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": 2}, "protocol"),
        ({"protocol": True}, "protocol"),
        ({"agent": ""}, "agent"),
        ({"agent": "a" * 201}, "agent"),
        ({"agent": "a\nb"}, "agent"),
        ({"cores": 0}, "cores"),
        ({"cores": 2.5}, "cores"),
        ({"cores": True}, "cores"),
        ({"memory_gb": -1}, "memory_gb"),
        ({"formats": []}, "formats"),
        ({"formats": ["openvino"]}, "formats"),
        ({"formats": "onnx"}, "formats"),
        ({"more": 1}, "unknown"),
    ],
)
def test_a_wrong_hello_takes_nothing(
    opened: Callable[..., Browser], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    page = Page(opened().site.url, tmp_path)
    status, answer = page.send(f"{page.url}hello", {**HELLO, **change})
    assert status == 400
    assert said in answer["error"]
    page.claim()


# Others


@pytest.fixture
def site(opened: Callable[..., Browser], tmp_path: Path) -> browsers.Site:
    """Listening, with a page of two files, and something beside it."""
    (tmp_path / "page").mkdir()
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "page" / "index.html").write_text("<script src=run.js></script>")
    (tmp_path / "page" / "run.js").write_text("run()")
    (tmp_path / "page" / "link").symlink_to(tmp_path / "secret")
    return opened(page=str(tmp_path / "page")).site


def raw(site: browsers.Site, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, Any]:
    """A request as it is, nothing made good."""
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    found = response.status, response.read(), response.headers
    connection.close()
    return found


def key_of(key: str) -> dict[str, Any]:
    """The header that carries it."""
    return {"X-Edgetl-Key": key}


def test_the_page_is_served_to_whoever_knows_the_token(site: browsers.Site) -> None:
    root = f"/{site.session.token}/"
    status, body, headers = raw(site, "GET", root)
    assert (status, body, headers["Content-Type"]) == (200, b"<script src=run.js></script>", "text/html")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert raw(site, "GET", f"{root}run.js")[:2] == (200, b"run()")
    assert raw(site, "GET", "/")[0] == raw(site, "GET", f"/{'A' * 43}/")[0] == 404


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "link",
        "run.js/",
        "./run.js",
        "%00",
        "run.js%00",
        "..\\secret",
        "//secret",
        "/etc/passwd",
        "%c0%ae%c0%ae/secret",
        "index.html/../../secret",
        "RUN.JS",
        "run.js?x",
    ],
)
def test_only_listed_names_are_served(site: browsers.Site, name: str) -> None:
    status, body, _ = raw(site, "GET", f"/{site.session.token}/{name}")
    assert status == 404
    assert b"not yours" not in body


def test_without_a_page_it_says_what_to_read(opened: Callable[..., Browser]) -> None:
    site = opened().site
    status, body, _ = raw(site, "GET", f"/{site.session.token}/")
    assert status == 404
    assert b"docs/browser-protocol.md" in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "", "[::1]:80"])
def test_a_name_that_was_rebound_is_refused(site: browsers.Site, host: str) -> None:
    assert raw(site, "GET", f"/{site.session.token}/", Host=host)[0] == 421


def test_localhost_is_loopback(site: browsers.Site) -> None:
    assert raw(site, "GET", f"/{site.session.token}/", Host=f"localhost:{site.server.port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_origin_is_refused_and_takes_nothing(
    site: browsers.Site, tmp_path: Path, headers: dict[str, str]
) -> None:
    page = Page(site.url, tmp_path)
    assert page.send(f"{site.url}hello", HELLO, **headers)[0] == 403
    own = {"Origin": page.base, "Sec-Fetch-Site": "same-origin"}
    assert page.send(f"{site.url}hello", HELLO, **own)[0] == 200


def test_the_token_opens_once(site: browsers.Site, tmp_path: Path) -> None:
    first, second = Page(site.url, tmp_path), Page(site.url, tmp_path)
    first.claim()
    status, answer = second.send(f"{site.url}hello", HELLO)
    assert status == 410
    assert "start edgetl bench again" in answer["error"]


def test_hellos_at_the_same_time_open_once(site: browsers.Site, tmp_path: Path) -> None:
    statuses: list[int] = []

    def say() -> None:
        statuses.append(Page(site.url, tmp_path).send(f"{site.url}hello", HELLO)[0])

    threads = [threading.Thread(target=say) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [410] * 7


@pytest.mark.parametrize("key", ["", "A" * 43, "token"])
def test_without_the_key_there_is_nothing(site: browsers.Site, tmp_path: Path, key: str) -> None:
    page = Page(site.url, tmp_path)
    name = site.session.offer(b"model")
    assert page.send(f"{page.base}/next", {})[0] == 403  # before anyone came, too
    page.claim()
    wrong = site.session.token if key == "token" else key
    for path in ("next", "answers/x"):
        assert page.send(f"{page.base}/{path}", {}, **{"X-Edgetl-Key": wrong})[0] == 403
    assert raw(site, "GET", f"/files/{name}", **key_of(wrong))[0] == 403
    assert page.fetch(name) == b"model"
    assert raw(site, "GET", "/files/../secret", **key_of(page.key))[0] == 404


def test_a_command_takes_one_answer(opened: Callable[..., Browser], bundle: Path, tmp_path: Path) -> None:
    device = opened()
    page = Page(device.site.url, tmp_path)
    page.claim()
    heard: list[Any] = []
    asking = threading.Thread(
        target=lambda: heard.append(device.ask("tiny", "run", answers.times(1), count=1)), daemon=True
    )
    asking.start()
    command = page.next()
    assert page.next() == command  # its answer may have been lost on the way
    place = f"{page.base}/answers/{command['id']}"
    assert page.send(f"{page.base}/answers/AAAA", {"times_ms": [3.0]})[0] == 404
    assert page.send(place, {"times_ms": [1.0]})[0] == 204
    assert page.send(place, {"times_ms": [2.0]})[0] == 409
    asking.join(10)
    assert heard == [[1.0]]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (json.dumps(HELLO).encode()[:-1] + b', "cores": 2}', {}, 400),
        (json.dumps(HELLO).encode().replace(b'"cores": 2', b'"cores": NaN'), {}, 400),
        (b"\xff", {}, 400),
        (b'{"a":' * 3000, {"Content-Length": "15000"}, 413),
        (b"[" * 4000, {}, 400),
        (b"", {"Content-Length": "9" * 5000}, 411),
        (b"", {"Content-Length": "99999999999"}, 413),
        (b"", {"Content-Length": "-1"}, 411),
        (b"", {"Content-Length": "٣"}, 411),
        (b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_bodies_that_are_none_are_refused(
    site: browsers.Site, body: bytes, headers: dict[str, str], status: int
) -> None:
    given = {"Content-Type": "application/json", **headers}
    if "Transfer-Encoding" not in given:
        given.setdefault("Content-Length", str(len(body)))
    encoded = {name: value.encode("utf-8").decode("latin-1") for name, value in given.items()}
    got, said, _ = raw(site, "POST", f"/{site.session.token}/hello", body, **encoded)
    assert got == status
    if b"NaN" in body:
        assert b"NaN is no number of JSON" in said
    assert site.session.hello is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT"])
def test_other_methods_are_refused(site: browsers.Site, method: str) -> None:
    assert raw(site, method, f"/{site.session.token}/")[0] == 501


def test_garbage_and_slow_clients_do_not_stop_it(site: browsers.Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetl.devices.browser.server._Handler.timeout", 1.0)
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", site.server.port)
        waiting = [stack.enter_context(socket.create_connection(address)) for _ in range(40)]  # more than are served
        end = time.monotonic() + 10
        while site.server._free._value and time.monotonic() < end:
            time.sleep(0.005)
        assert site.server._free._value == 0, "as many at once as it allows"
        waiting[-1].settimeout(0.5)  # before any of the first ones is given up
        with contextlib.suppress(ConnectionResetError):
            assert waiting[-1].recv(1) == b"", "one too many is closed at once"
        waiting[0].sendall(b"\x16\x03\x01 not http\r\n\r\n")
        waiting[1].sendall(b"POST /" + b"a" * 70_000)
        time.sleep(3)
        assert raw(site, "GET", f"/{site.session.token}/")[0] == 200


def test_a_page_folder_is_read_once_and_small(opened: Callable[..., Browser], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        _ = opened(page=str(tmp_path / "nowhere")).site
    with pytest.raises(RecipeError, match="NOT_SET_HERE is not set"):
        _ = opened(page="${NOT_SET_HERE}").site
    (tmp_path / "many").mkdir()
    for number in range(65):
        (tmp_path / "many" / str(number)).write_text("")
    with pytest.raises(RecipeError, match="over 64 files"):
        _ = opened(page=str(tmp_path / "many")).site


@pytest.mark.parametrize("address", ["0.0.0.0", "example.org", "::", "", "127.0.0.1; rm"])
def test_it_listens_on_one_address_of_this_computer(address: str) -> None:
    with pytest.raises(ValueError):
        BrowserTarget.model_validate({"name": "b", "kind": "browser", "address": address})


def test_an_address_of_another_computer_is_said(opened: Callable[..., Browser]) -> None:
    with pytest.raises(DeviceError, match=r"cannot listen on 192\.0\.2\.1"):
        _ = opened(address="192.0.2.1").site


def test_the_address_is_told_on_stderr(opened: Callable[..., Browser], capsys: pytest.CaptureFixture[str]) -> None:
    site = opened().site
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"open in the browser: {site.url}\n"
    assert json.dumps(site.url).isascii()
    assert urllib.request.urlparse(site.url).hostname == "127.0.0.1"  # type: ignore[attr-defined]
