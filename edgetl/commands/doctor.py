"""`edgetl doctor`: what this machine can do, and how what is broken is repaired."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import JsonOption
from edgetl.errors import EnvironmentFault

if TYPE_CHECKING:
    from edgetl.doctor import Finding

_WORDS = {"ok": "ok     ", "warning": "warning", "broken": "BROKEN ", "absent": "-      ", "unknown": "?      "}


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("doctor")(_doctor)


def _doctor(
    network: Annotated[bool, typer.Option("--network", help="Also ask whether the model hub answers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at Python, processor, memory, disk, packages and runtimes. Exit code 3 when something needed is broken."""
    from edgetl.console.progress import Console
    from edgetl.doctor import examine

    findings = []
    with Console() as console:
        for finding in examine(network, lambda name, done, total: console.advance(f"trying {name}", done, total)):
            findings.append(finding)
    if as_json:
        print(json.dumps([finding.to_json() for finding in findings]))
    else:
        print(
            "\n\n".join(
                _group(name, [finding for finding in findings if finding.group == name]) for name in _groups(findings)
            )
        )
    broken = [finding for finding in findings if finding.state == "broken"]
    if broken:
        first = broken[0]
        raise EnvironmentFault(
            f"{len(broken)} of {len(findings)} are broken, the first: {first.name}: {first.detail}", hint=first.fix
        )


def _groups(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.group for finding in findings))


def _group(name: str, findings: Sequence[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = [name]
    for finding in findings:
        lines.append(f"  {_WORDS[finding.state]}  {finding.name:<{width}}  {finding.detail}")
        if finding.fix:
            lines.append(f"  {'':<{len(_WORDS['ok']) + width + 2}}  fix: {finding.fix}")
    return "\n".join(lines)
