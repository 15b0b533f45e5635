"""The fenced blocks of a Markdown page, with what the comment right above a block says about it.

<!-- not run: reason -->     it needs what a test has not: data, a network, a GPU, a launcher
<!-- file: NAME -->          NAME holds the block
<!-- exit code: N -->        the last command ends with N
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r"<!-- (not run|file|exit code): (.+) -->")
_PROMPT = "$ "


@dataclass(frozen=True)
class Example:
    """One block: where it begins, its language, its text, and its marks."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def commands(self) -> Iterator[tuple[list[str], list[str]]]:
        """Of a `bash` or `console` block: the words of each command, and the lines that it prints."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "bash":
            yield from ((shlex.split(line, comments=True), []) for line in lines if line.strip())
            return
        words: list[str] | None = None
        printed: list[str] = []
        for line in lines:
            if not line.startswith(_PROMPT):
                printed.append(line)
                continue
            if words is not None:
                yield words, printed
            words, printed = shlex.split(line.removeprefix(_PROMPT), comments=True), []
        assert words is not None, f"{self}: a console block begins with {_PROMPT!r}"
        yield words, printed


def examples(page: Path) -> list[Example]:
    """The blocks of a page in their order."""
    found, marks = [], {}
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if comment := _COMMENT.fullmatch(line.strip()):
            marks[comment[1]] = comment[2]
        elif line.startswith("```"):
            block = []
            for _, inner in lines:
                if inner == "```":
                    break
                block.append(inner)
            found.append(Example(page, number, line[3:].strip(), "\n".join(block) + "\n", marks))
            marks = {}
        elif line.strip():
            marks = {}
    return found
