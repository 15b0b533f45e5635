"""What is pushed to a device over ssh: by content, once, whole, and named as it was."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from pathlib import Path

import pytest
from ssh_devices import HOST, Open

from edgetl.devices.ssh.agent_client import AgentClient, File
from edgetl.devices.ssh.connection import Connection
from edgetl.errors import DeviceError
from edgetl.runtime.manifest import Artifact
from tools.loopback_sshd import SshServer

NAUGHTY = (
    "two words",
    "'",
    '"',
    "it's",
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "&& touch CANARY",
    "| touch CANARY",
    "> CANARY",
    "x\ntouch CANARY\n",
    "x\rtouch CANARY",
    "-rf",
    "--help",
    "-c import os",
    "~",
    "~root",
    "*",
    "[a-z]",
    "{a,b}",
    "!!",
    "#comment",
    "%s%n",
    "$HOME",
    "${IFS}",
    "\\",
    "\\n",
    "a\tb",
    "a=b",
    "EDGETL_RUN=x",
    "...",
    "NUL",
    "con.txt",
    "ünïcödé",
    "日本語",
    "\u202egpj.exe",
    "\U0001f4a9",
    "e\u0301",
    "\x7f",
    "\x1b[2J",
    "\udcff",
    "x" * 200,
    '{"bytes": 5}',
    '{"do": "end"}',
    "json.py",
)
"""Written for this test: what shells, Pythons, terminals and our own lines take for something else than a name."""

ARTIFACT = Artifact("a", "student", "onnx", "int8", "models/a", "0" * 64, 1)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bundle_like(folder: Path, files: dict[str, bytes]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    return folder


def test_a_folder_arrives_as_it_is_and_only_once(open_ssh: Open, tmp_path: Path) -> None:
    files = {"models/a.onnx": b"model", "models/b.bin": b"", "golden/x.npy": bytes(range(256)) * 4000, "copy": b"model"}
    folder = bundle_like(tmp_path / "bundle", files)
    first = open_ssh()
    assert content(first.push(folder)) == files
    assert first.pushed == 3  # two of the four are one
    again = open_ssh()
    assert content(again.push(folder)) == files
    assert again.pushed == 0
    assert again.agent.sent == 0


def test_the_same_size_with_other_bytes_is_pushed_100_times_of_100(open_ssh: Open, tmp_path: Path) -> None:
    device, draw = open_ssh(), random.Random(0)
    for count in range(1, 101):
        folder = bundle_like(tmp_path / "bundle", {"model": draw.randbytes(3000)})
        assert content(device.push(folder)) == content(folder)
        assert device.pushed == count


def test_other_bytes_on_the_device_are_noticed_100_times_of_100(
    open_ssh: Open, server: SshServer, tmp_path: Path
) -> None:
    device, draw = open_ssh(), random.Random(0)
    bytes_ = draw.randbytes(3000)
    folder = bundle_like(tmp_path / "bundle", {"model": bytes_})
    kept = server.cache / "objects" / hashlib.sha256(bytes_).hexdigest()
    for count in range(1, 101):
        device.push(folder)
        assert device.pushed == count
        assert kept.read_bytes() == bytes_
        bad = bytearray(bytes_)
        bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        kept.chmod(0o600)
        kept.write_bytes(bad)


def test_what_may_not_stay_is_gone_afterwards(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    device = open_ssh()
    secret = os.urandom(2000)
    there = device.push(bundle_like(tmp_path / "pictures", {"tensors.npy": secret}), keep=False)
    assert (there / "tensors.npy").read_bytes() == secret
    kept = bundle_like(tmp_path / "bundle", {"model": b"may stay"})
    device.push(kept)
    device.close()
    left = [path for path in server.home.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in left if path.parent.name == "objects"] == [b"may stay"]
    assert not any(secret in path.read_bytes() for path in left)
    assert not any((server.cache / "runs").iterdir())


def test_a_half_pushed_file_is_never_taken(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    whole = os.urandom(3 << 20)
    folder = bundle_like(tmp_path / "bundle", {"model": whole})
    connection = Connection(HOST)
    agent = AgentClient(connection, "python3")
    agent._say({"do": "put", "digest": hashlib.sha256(whole).hexdigest(), "size": len(whole), "keep": True})
    agent._program.send(b'{"bytes": 1000000}\n' + whole[:1_000_000])
    connection.close()  # as when the network goes
    assert server.quiet()
    assert not any(path.is_file() for path in server.home.rglob("*") if path.suffix != ".lock")
    device = open_ssh()
    assert content(device.push(folder)) == {"model": whole}
    assert device.pushed == 1


@pytest.mark.parametrize("change", ["shorter", "longer", "other"])
def test_a_file_that_changes_while_it_is_sent_is_refused(server: SshServer, tmp_path: Path, change: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"a" * 1000)
    file = File(path, hashlib.sha256(b"a" * 1000).hexdigest(), 1000)
    path.write_bytes({"shorter": b"a" * 10, "longer": b"b" * 2000, "other": b"a" * 999 + b"b"}[change])
    connection = Connection(HOST)
    agent = AgentClient(connection, "python3")
    with pytest.raises(DeviceError, match="device: cannot keep our files: arrived with other bytes than were sent"):
        agent.push([file], keep=True)
    assert not any((server.cache / "objects").glob("*"))
    path.write_bytes(b"a" * 1000)
    assert agent.push([file], keep=True) == 1  # and the conversation goes on
    agent.end()
    connection.close()


def test_names_arrive_as_they_are_and_are_no_commands(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    files = {f"models/{name}": name.encode("utf-8", "surrogateescape") for name in NAUGHTY}
    files |= {f"{name}/inside": b"1" for name in NAUGHTY}
    folder = bundle_like(tmp_path / "$(touch CANARY) '; touch CANARY", files)
    device = open_ssh()
    assert content(device.push(folder)) == content(folder)
    assert len(content(folder)) == 2 * len(NAUGHTY)
    assert not _canaries(server, tmp_path)


RECORDER = """
import json, os, sys
seen = {"argv": sys.argv[1:], "folder": os.getcwd(), "run": os.environ["EDGETL_RUN"]}
print(json.dumps({"ready": True, "load_ms": 1, "first_ms": 1, **seen}), flush=True)
sys.stdin.read()
"""


def test_a_worker_gets_every_name_as_it_is(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    recorder = server.folder / "recorder.py"
    recorder.write_text(RECORDER)
    server.program("python3", f'test "$1" = -m && set -- "{recorder}" "$@"\nexec "{sys.executable}" "$@"')
    device = open_ssh()
    for name in (name for name in NAUGHTY if name != "\udcff"):  # ssh carries UTF-8
        artifact = Artifact(
            name, "student", "onnx", "int8", f"models/{name}", "0" * 64, 1, runtime_options={name: name}
        )
        with device.worker(Path("/bundle"), artifact, 1).start() as running:
            seen = running.ready()
        argv = ["-m", "edgetl_runtime", "worker", f"--path=/bundle/models/{name}", "--backend", "onnx"]
        assert seen["argv"] == [*argv, "--threads", "1", "--options", json.dumps({name: name})]
    assert not _canaries(server, tmp_path)


def test_a_python_of_any_name_is_started_or_is_not_there(
    open_ssh: Open, server: SshServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    recorder = server.folder / "recorder.py"
    recorder.write_text(RECORDER)
    (server.home / "bin").mkdir(exist_ok=True)
    for name in NAUGHTY:
        if name.startswith("-") or not name.isprintable():  # refused by the target's type
            continue
        with subtests.test(name=name):
            with pytest.raises(DeviceError, match=r"cannot be started|died with exit code"):
                open_ssh(python=name).info()
            script = server.home / "bin" / name
            script.write_text(f'#!/bin/sh\ntest "$1" = -m && set -- "{recorder}"\nexec "{sys.executable}" "$@"\n')
            script.chmod(0o755)
            device = open_ssh(python=f"~/bin/{name}")
            with device.worker(Path("/bundle"), ARTIFACT, 1).start() as running:
                assert running.ready()["run"].startswith(device.agent.token)
            device.close()
            assert not _canaries(server, tmp_path)


def test_paths_outside_are_refused_by_the_device_itself(server: SshServer) -> None:
    connection = Connection(HOST)
    agent = AgentClient(connection, "python3")
    for number, path in enumerate(["../x", "/etc/x", "a/../../x", "a//b", "", ".", "a/.", "a\0b"]):
        with pytest.raises(DeviceError, match="expected one inside the folder"):
            agent.view(str(number), {path: "0" * 64})
    with pytest.raises(DeviceError, match="got the digest"):
        agent._ask({"do": "missing", "digests": ["../" * 21 + "x"]})
    agent.end()
    connection.close()


def _canaries(server: SshServer, tmp_path: Path) -> list[Path]:
    deep = [path for place in (server.home, server.bin, tmp_path) for path in place.rglob("CANARY")]
    return deep + [path for place in (Path.cwd(), Path.home(), Path("/")) if (path := place / "CANARY").exists()]
