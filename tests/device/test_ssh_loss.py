"""A device that is lost while it is measured: exit code 4, no half result, and nothing left running, here or there."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import model_bundle
import pytest
from ssh_devices import HOST, Open

from edgetl.devices.ssh import agent_client, connection
from edgetl.errors import DeviceError, EdgetlError, WorkerError
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.measuring import Effort, measure
from tools.loopback_sshd import SshServer

ENDLESS = Effort(rounds=10_000, runs=10_000, seconds=600.0, limit_s=600.0, warm_up_s=0.1)
MODEL = """
import json, os, sys, time
print(json.dumps({"ready": True, "load_ms": 1.0, "first_ms": 1.0, "runtime": "fake"}), flush=True)
for line in sys.stdin:
    word = line.split()
    if word[0] == "run":
        time.sleep(0.002 * int(word[1]))
        print(json.dumps([2.0] * int(word[1])), flush=True)
    elif word[0] == "quit":
        print('{"peak_rss_mb": 1}', flush=True)
    else:
        print("null", flush=True)
"""
STUBBORN = 'import time\nprint(\'{"ready": true, "load_ms": 1, "first_ms": 1}\', flush=True)\ntime.sleep(600)'


@pytest.fixture
def fake_model(server: SshServer) -> Callable[[str], None]:
    """Have the device's Python be another program where it should be a worker."""

    def become(source: str) -> None:
        path = server.folder / "model.py"
        path.write_text(source)
        server.program("python3", f'test "$1" = -m && set -- "{path}"\nexec "{sys.executable}" "$@"')

    return become


def artifact(name: str) -> Artifact:
    return Artifact(name, "student", "onnx", "int8", f"models/{name}", "0" * 64, 1)


def lose(server: SshServer, how: str) -> None:
    """What happens to a device: its network, its sshd's process, or our program on it."""
    if how == "agent":
        agents = [number for number in server.running() if b"exec(sys.stdin" in _command_line(number)]
        for number in agents:
            os.kill(number, signal.SIGKILL)
    else:
        for number in server.sessions():
            os.kill(number, signal.SIGKILL)


def _command_line(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def ssh_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"ssh {HOST}"]


@pytest.mark.parametrize("seed", range(20))
def test_lost_at_a_random_point(
    open_ssh: Open, server: SshServer, fake_model: Callable[[str], None], tmp_path: Path, seed: int
) -> None:
    """From the push to the measuring; the connection, or the agent."""
    draw = random.Random(seed)
    fake_model(MODEL)
    (tmp_path / "large").write_bytes(draw.randbytes(4 << 20))
    how = ["connection", "agent"][seed % 2]
    timer = threading.Timer(draw.uniform(0.05, 1.2), lose, (server, how))
    device = open_ssh()
    device.info()

    def use() -> None:
        with closing(device):
            where = device.push(tmp_path)
            measure([device.worker(where, artifact(name), 1) for name in "abc"], "full", effort=ENDLESS)

    timer.start()
    with pytest.raises(DeviceError) as caught:
        use()
    timer.join()
    assert caught.value.exit_code == 4
    assert HOST in str(caught.value)
    assert server.quiet()
    assert not any((server.cache / "runs").iterdir()) or how == "agent"
    assert not ssh_threads()
    kept = server.cache / "objects"
    assert all(path.name == hashlib.sha256(path.read_bytes()).hexdigest() for path in kept.glob("*"))


def test_a_worker_that_dies_is_no_lost_device(
    open_ssh: Open, fake_model: Callable[[str], None], tmp_path: Path
) -> None:
    fake_model(MODEL.replace("time.sleep", "os.abort() or time.sleep"))
    device = open_ssh()
    with device.worker(device.push(tmp_path), artifact("a"), 1).start() as running:
        running.ready()
        with pytest.raises(WorkerError, match=r"a@1: died with exit code -6 \(SIGABRT\)"):
            running.run(1)
    assert device.threads() == (1,)  # still there


def test_a_worker_that_does_not_end_with_its_input_is_killed(
    open_ssh: Open, server: SshServer, fake_model: Callable[[str], None], tmp_path: Path
) -> None:
    fake_model(STUBBORN)
    device = open_ssh()
    where = device.push(tmp_path)
    with device.worker(where, artifact("a"), 1).start() as other:
        other.ready()
        with device.worker(where, artifact("b"), 1).start() as running:
            running.ready()
            assert len(server.running()) == 3
        until = time.monotonic() + 10
        while len(server.running()) > 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(server.running()) == 2  # the agent and the other one
    assert len(server.running()) == 1


@pytest.mark.parametrize("how", ["connection", "interrupt"])
def test_what_does_not_end_by_itself_is_killed_when_all_is_lost(
    open_ssh: Open, server: SshServer, fake_model: Callable[[str], None], tmp_path: Path, how: str
) -> None:
    fake_model(STUBBORN)
    device = open_ssh()
    worker = device.worker(device.push(tmp_path), artifact("a"), 1)

    def use() -> None:
        with closing(device), worker.start() as running:
            running.ready()
            if how == "interrupt":
                raise KeyboardInterrupt
            lose(server, how)
            running.run(1)

    with pytest.raises((DeviceError, KeyboardInterrupt)):
        use()
    assert server.quiet()
    assert not any((server.cache / "runs").iterdir())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of minutes until silence means that the other side is gone."""
    monkeypatch.setattr(connection, "KEEPALIVE_S", 0.5)
    monkeypatch.setattr(connection, "KEEPALIVES", 2)
    monkeypatch.setattr(agent_client, "BEAT_S", 0.2)
    source = agent_client.agent_source()
    assert b"SILENCE_S = 60.0" in source
    monkeypatch.setattr(agent_client, "agent_source", lambda: source.replace(b"SILENCE_S = 60.0", b"SILENCE_S = 2.0"))


@pytest.mark.usefixtures("impatient")
def test_a_network_that_dies_in_silence_is_noticed_on_both_sides(
    open_ssh: Open, server: SshServer, fake_model: Callable[[str], None], tmp_path: Path
) -> None:
    """sshd is stopped, so that nothing is closed and nothing passes."""
    fake_model(STUBBORN)
    device = open_ssh()
    worker = device.worker(device.push(tmp_path), artifact("a"), 1)

    def use() -> None:
        with closing(device), worker.start() as running:
            running.ready()
            for number in server.sessions():
                os.kill(number, signal.SIGSTOP)
            running.run(1)

    with pytest.raises(DeviceError, match="the connection was lost"):
        use()
    assert server.quiet()  # while sshd still holds the connection
    assert not any((server.cache / "runs").iterdir())
    server.kill_all()


@pytest.mark.usefixtures("impatient")
def test_a_quiet_host_is_not_taken_for_a_lost_one(open_ssh: Open, tmp_path: Path) -> None:
    device = open_ssh()
    device.push(tmp_path)
    time.sleep(5.0)
    device.push(tmp_path)


def test_more_models_than_one_connection_takes(
    open_ssh: Open, fake_model: Callable[[str], None], tmp_path: Path
) -> None:
    fake_model(MODEL)
    device = open_ssh()
    where = device.push(tmp_path)
    effort = Effort(rounds=1, runs=1, seconds=0.0, limit_s=1.0, warm_up_s=0.0)
    rows = measure([device.worker(where, artifact(f"m{number}"), 1) for number in range(20)], "quick", effort=effort)
    assert [row.to_json().get("p50_ms") for row in rows] == [2.0] * 20


def test_what_a_killed_agent_left_is_removed_by_the_next(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    device = open_ssh()
    device.push(tmp_path)
    lose(server, "agent")
    with pytest.raises(EdgetlError):
        device.push(tmp_path)
    left = list((server.cache / "runs").iterdir())
    assert len(left) == 1
    with closing(open_ssh()) as other:
        other.info()
        assert left[0] not in list((server.cache / "runs").iterdir())


def test_a_run_beside_another_one_leaves_it_alone(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    one, other = open_ssh(), open_ssh()
    where = one.push(tmp_path)
    other.push(tmp_path)
    other.close()
    assert (where / "a").read_text() == "a"
    assert len(list((server.cache / "runs").iterdir())) == 1


def test_an_agent_cleans_up_whole_whether_it_is_told_to_or_its_input_ends(tmp_path: Path) -> None:
    """Both at once, where its two threads race to do it; no ssh."""
    for number in range(20):
        requests: list[dict[str, object]] = [{"do": "hello", "token": f"run{number}"}]
        requests += [{"do": "view", "name": f"{folder}", "files": {}} for folder in range(300)]
        lines = "".join(json.dumps(request) + "\n" for request in [*requests, {"do": "end"}])
        agent = [sys.executable, "-S", "-c", agent_client.agent_source().decode()]
        subprocess.run(agent, input=lines, text=True, stdout=subprocess.PIPE, env={"XDG_CACHE_HOME": str(tmp_path)})
        assert not list((tmp_path / "edgetl" / "runs").iterdir())


@pytest.fixture
def command(server: SshServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`edgetl bench` of a tiny real bundle on the device."""
    bundle = model_bundle.make_bundle(tmp_path / "bundle", tmp_path_factory.mktemp("models"))
    assert Manifest.load(bundle)
    (tmp_path / "desk.yaml").write_text(f"name: desk\nkind: ssh\nhost: {HOST}\nthreads: [1]\nemulated: true\n")
    return [sys.executable, "-m", "edgetl", "bench", str(bundle), "--target", str(tmp_path / "desk.yaml")]


def test_the_command_measures_and_says_what_is_emulated(command: list[str]) -> None:
    done = subprocess.run([*command, "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert len(rows) == 3
    assert all(row.endswith("  emulated: times are not device times") for row in rows)
    done = subprocess.run([*command, "--quick", "--json"], capture_output=True, text=True)
    assert {row["origin"] for rows in json.loads(done.stdout)["latency"].values() for row in rows} == {"emulated"}


@pytest.mark.parametrize("how", ["connection", "interrupt"])
def test_the_command_ends_with_its_exit_code(command: list[str], server: SshServer, how: str) -> None:
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while len(server.running()) < 4 and time.monotonic() < until:  # the agent and three workers
            time.sleep(0.05)
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            lose(server, how)
        out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if how == "interrupt" else 4), err
    assert out == ""
    assert "Traceback" not in err
    assert server.quiet()
    assert not any((server.cache / "runs").iterdir())
