"""An ARM64 device without hardware: Debian's Python for arm64, emulated by qemu, behind an sshd on loopback.

    python tools/arm64_device.py make     some 200 MB from Debian's and PyPI's mirrors, into the cache; once
    python tools/arm64_device.py serve    a device for `--target arm64_emulated`, until Ctrl-C

Nothing needs root: packages are downloaded by apt with folders of its own and unpacked, never installed. qemu translates the
instructions of one process, so outputs are those of an ARM64 processor, and times say nothing about one.

Needs Debian's apt-get, dpkg-deb and archive keyring; `serve` also openssh-server and asyncssh.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SYSTEM = ("bookworm", "arm64", ("python3-minimal", "libpython3-stdlib", "libstdc++6"))
# bookworm's qemu 7.2 crashes when onnxruntime is imported; that of trixie is one static program.
EMULATOR = ("trixie", "amd64", ("qemu-user",))
PYTHON = "3.11"
DISTRIBUTIONS = ("numpy", "pillow", "onnxruntime", "openvino", "ai-edge-litert")
GLIBC = (36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 24, 17)
"""Minor versions of the C library that bookworm's can stand for, newest first: pip asks for each by name."""


def place() -> Path:
    """Where it is kept: outside the repository, apart for each list of what is in it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(repr((SYSTEM, EMULATOR, PYTHON, requirements())).encode()).hexdigest()[:12]
    return cache / "edgetl-arm64" / key


def missing() -> str | None:
    """Why there is none on this machine, or None."""
    if (place() / "complete").is_file():
        return None
    return "no emulated ARM64 device here: python tools/arm64_device.py make"


def python() -> str:
    """What a shell script `python3` does to be it."""
    folder = place()
    words = [str(folder / "qemu-aarch64"), "-cpu", "cortex-a76", "-L", str(folder / "root")]
    return f'exec {shlex.join([*words, str(folder / "root" / "usr" / "bin" / f"python{PYTHON}")])} "$@"'


def make() -> Path:
    """Download and unpack it, or nothing where it is there."""
    folder = place()
    if missing() is None:
        return folder
    if os.uname().machine != "x86_64":
        raise SystemExit(f"got {os.uname().machine}, expected x86_64: Debian's qemu for that is what is downloaded")
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not here: this needs Debian or one of its kind")
    aside = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        root = aside / "root"
        for package in debian(aside / "system", *SYSTEM, with_dependencies=True):
            run(["dpkg-deb", "-x", str(package), str(root)])
        (qemu,) = debian(aside / "emulator", *EMULATOR, with_dependencies=False)
        run(["dpkg-deb", "-x", str(qemu), str(aside / "qemu")])
        (aside / "qemu" / "usr" / "bin" / "qemu-aarch64").replace(aside / "qemu-aarch64")
        packages = root / "usr" / "local" / "lib" / f"python{PYTHON}" / "dist-packages"
        for wheel in wheels(aside / "wheels", "aarch64"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(packages)
        for done in ("system", "emulator", "qemu", "wheels"):
            shutil.rmtree(aside / done)
        (aside / "complete").touch()
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def debian(folder: Path, suite: str, architecture: str, names: Sequence[str], with_dependencies: bool) -> list[Path]:
    """Packages of a suite, checked against Debian's keys by an apt that knows nothing of this machine's."""
    for made in ("lists/partial", "archives/partial"):
        (folder / made).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {suite} main\n")
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc::SourceList": folder / "sources.list",
        **{f"Dir::Etc::{name}": "/dev/null" for name in ("SourceParts", "Preferences", "PreferencesParts")},
    }
    (folder / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    env = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    run(["apt-get", "update", "-qq"], env=env)
    if with_dependencies:
        run(["apt-get", "install", "-qq", "-y", "--download-only", *names], env=env)
    else:
        run(["apt-get", "download", "-qq", *names], cwd=folder / "archives", env=env)
    return sorted((folder / "archives").glob("*.deb"))


def wheels(folder: Path, machine: str, names: Sequence[str] | None = None) -> list[Path]:
    """Wheels of `requirements`, or of other names, with what they need, for Python `PYTHON` on a machine."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC]
    options = ["--quiet", "--disable-pip-version-check", "--only-binary=:all:", f"--python-version={PYTHON}"]
    options += [*platforms, f"--platform=manylinux2014_{machine}", "--implementation=cp", f"--dest={folder}"]
    run([sys.executable, "-m", "pip", "download", *options, *(requirements() if names is None else names)])
    return sorted(folder.glob("*.whl"))


def requirements() -> list[str]:
    """`DISTRIBUTIONS` in the versions that edgetl takes here."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return sorted(line for line in lines if line.partition(">")[0] in DISTRIBUTIONS)


def run(argv: Sequence[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """A step; where it fails, all that it said."""
    done = subprocess.run(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(argv)[:200]} failed:\n{done.stdout[-3000:]}")


def serve() -> None:
    """A device for `--target arm64_emulated`; what the user's ssh must know is printed."""
    import tempfile
    import threading

    sys.path.insert(0, str(ROOT))
    from tools.loopback_sshd import SshServer

    with tempfile.TemporaryDirectory() as scratch:
        server = SshServer(Path(scratch), python())
        server.start()
        try:
            print(server.for_the_user("arm64-emulated"), flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "serve"))
    if parser.parse_args().what == "make":
        print(make())
    else:
        make()
        serve()
