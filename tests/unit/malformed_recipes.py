"""Recipes that are wrong, each in one way: what `edgetl build` must answer with one message, its place and exit code 2.

Half of them follow from the types of the recipe, so that a new field is covered on the day it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel

from edgetl.config import fields
from edgetl.config.recipe import Recipe

VALID = """\
name: small
data: {kind: skin_phantom, images: 140, image_size: 64}
teacher: {backbone: tf_efficientnet_lite0, epochs: 2}
student: {backbone: mobilenetv3_small_100}
distil: {epochs: 2, weights: [0, 1]}
prune: {macs: 0.6}
quantize: {max_drop: 0.01}
export: [onnx, tflite]
targets: [local_cpu]
"""


@dataclass(frozen=True)
class Case:
    """A recipe file, or what stands in its place, and the --set that come with it.

    content: the file's bytes; None for a folder of that name.
    """

    name: str
    content: bytes | None
    sets: tuple[str, ...] = ()

    def write(self, path: Path) -> list[str]:
        """Put the recipe at a path; the words of the command line that follow `edgetl build`."""
        if self.content is None:
            path.mkdir()
        else:
            path.write_bytes(self.content)
        return [str(path), *(word for one in self.sets for word in ("--set", one))]


def cases() -> list[Case]:
    """All of them; names differ."""
    return [*_texts(), *_bytes(), *_values(), *_wrong_types(), *_unknown_fields(), *_out_of_range(), *_overrides()]


def _replaced(**sections: Any) -> bytes:
    """A recipe as JSON, which is YAML, with sections replaced."""
    base: dict[str, Any] = {"name": "small", "data": {"kind": "skin_phantom"}}
    return json.dumps(base | sections).encode()


def _texts() -> Iterator[Case]:
    """YAML that is none, or that edgetl does not take."""
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    texts = {
        "empty": "",
        "only a comment": "# nothing\n",
        "only spaces": "   \n\n",
        "null": "null\n",
        "a list": "- name: small\n- data: {}\n",
        "a number": "42\n",
        "a word": "recipe\n",
        "true": "true\n",
        "two documents": VALID + "---\n" + VALID,
        "tab as indent": VALID.replace("data: {kind", "data:\n\tkind: folder\nx: {kind"),
        "tab before a value": "name:\t\tsmall\n\tdata: {}\n",
        "no space after the colon": "name:small\ndata:{kind: skin_phantom}\n",
        "open brace": VALID.replace("64}", "64"),
        "open bracket": VALID.replace("[onnx, tflite]", "[onnx, tflite"),
        "open quote": VALID.replace("name: small", 'name: "small'),
        "closing brace too many": VALID.replace("64}", "64}}"),
        "colon in plain text": VALID.replace("name: small", "name: small: one"),
        "at sign": VALID.replace("small", "@small"),
        "backquote": VALID.replace("small", "`small`"),
        "percent": VALID.replace("small", "%small"),
        "bad indent": "name: small\n data: {kind: skin_phantom}\n",
        "list in a mapping": VALID + "- one\n",
        "duplicate key": VALID + "name: other\n",
        "duplicate key inside": VALID.replace("{macs: 0.6}", "{macs: 0.6, macs: 0.7}"),
        "duplicate section": VALID + "distil: {epochs: 3}\n",
        "anchor": VALID.replace("distil: {", "distil: &d {"),
        "alias": VALID + "x: *unknown\n",
        "billion laughs": laughs,
        "merge key": VALID.replace("distil: {", "distil: {<<: {seed: 3}, "),
        "merge of an alias": VALID + "<<: *defaults\n",
        "python object": VALID.replace("small", "!!python/object/apply:os.system [true]"),
        "own tag": VALID.replace("small", "!env NAME"),
        "string tag": VALID.replace("small", "!!str small"),
        "undefined tag handle": VALID.replace("small", "!e!x small"),
        "list as a key": VALID + "? [1, 2]\n: x\n",
        "mapping as a key": VALID + "{a: 1}: x\n",
        "deep lists": VALID + "x: " + "[" * 5000,
        "deep mappings": VALID + "".join(" " * depth + "x:\n" for depth in range(60)),
        "deep dashes": "- " * 4000,
        "deep questions": "? " * 4000,
        "a very long line": VALID + "x: " + "y" * 60_000 + "\n",
        "a very long key": "k" * 900 + ": 1\n" + VALID,
        "a very long number": VALID.replace("140", "1" * 5000),
        "many unknown keys": VALID + "".join(f"k{number}: 1\n" for number in range(2000)),
        "many wrong entries": VALID.replace("[onnx, tflite]", "[" + "x, " * 4000 + "]"),
        "bad escape": VALID.replace("small", r'"\q"'),
        "escape beyond Unicode": VALID.replace("small", r'"\UFFFFFFFF"'),
        "half a surrogate pair": VALID.replace("small", r'"\ud800"'),
        "escaped NUL in the name": VALID.replace("small", r'"a\0b"'),
        "escaped line break in the name": VALID.replace("small", r'"a\nb"'),
        "unknown directive version": "%YAML 9.9\n---\n" + VALID,
        "huge directive version": "%YAML 1." + "1" * 5000 + "\n---\n" + VALID,
        "two directives": "%YAML 1.1\n%YAML 1.1\n---\n" + VALID,
        "block text in the way": VALID + "x: |\n  text\n wrong\n",
        "key with a line break": VALID + '"a\\nb": 1\n',
        "booleans as keys": VALID + "on: 1\ntrue: 2\n",
        "null as a key": VALID + "~: 1\n",
        "a number as a key": VALID + "1: 1\n",
        "a date as a key": VALID + "2026-01-01: 1\n",
        "an empty key": VALID + ": 1\n",
        "Python": "import os\nprint('name: small')\n",
        "TOML": '[data]\nkind = "skin_phantom"\n',
        "a diff": "<<<<<<< HEAD\nname: small\n=======\nname: large\n>>>>>>> other\n",
        "HTML": "<!DOCTYPE html><html><body>404: Not Found</body></html>\n",
    }
    return (Case(name, text.encode("utf-8", "surrogatepass")) for name, text in texts.items())


def _bytes() -> Iterator[Case]:
    """Files that are no UTF-8 text."""
    yield Case("a folder", None)
    yield Case("Latin-1", VALID.replace("small", "größe").encode("latin-1"))
    yield Case("UTF-16", VALID.encode("utf-16"))
    yield Case("UTF-16 without a mark", VALID.encode("utf-16-le"))
    yield Case("UTF-32", VALID.encode("utf-32"))
    yield Case("cut in a letter", VALID.encode() + "x: größe".encode()[:-3])
    yield Case("a PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    yield Case("a ZIP", b"PK\x03\x04" + bytes(range(256)))
    yield Case("NUL bytes", b"\0" * 100)
    yield Case("a NUL inside", VALID.encode() + b"x: a\0b\n")
    yield Case("an escape character", VALID.encode() + b"x: \x1b[31mred\n")
    yield Case("too large", b"#" * 300_000)
    yield Case("a bell", b"\x07" + VALID.encode())


def _values() -> Iterator[Case]:
    """What the types alone do not tell."""
    phantom = {"kind": "skin_phantom"}
    several = [{"backbone": "resnet18", "weights": "none"}, {"backbone": "resnet18", "weights": "none"}]
    values: dict[str, dict[str, Any]] = {
        "format 2": {"schema": 2},
        "format as text": {"schema": "1"},
        "format true": {"schema": True},
        "format 1.0": {"schema": 1.0},
        "name with a slash": {"name": "../small"},
        "name with a space": {"name": "a b"},
        "name too long": {"name": "x" * 65},
        "empty name": {"name": ""},
        "no section of data": {"data": None},
        "data without a root": {"data": {}},
        "phantom with a root": {"data": {**phantom, "root": "/tmp"}},
        "images of a folder": {"data": {"kind": "folder", "root": "/tmp", "images": 100}},
        "columns of a folder": {"data": {"kind": "folder", "root": "/tmp", "columns": {"path": "file"}}},
        "no such kind": {"data": {"kind": "ham1000", "root": "/tmp"}},
        "image size no multiple of 8": {"data": {**phantom, "image_size": 100}},
        "label as a number": {"data": {**phantom, "labels": {"mel": 1}}},
        "label as true": {"data": {**phantom, "labels": {"mel": True}}},
        "label as a list": {"data": {**phantom, "labels": {"mel": ["a"]}}},
        "label without a name": {"data": {**phantom, "labels": {"mel": ""}}},
        "label with a space": {"data": {**phantom, "labels": {"mel": "malignant "}}},
        "empty pattern": {"data": {**phantom, "exclude": ["a.png", ""]}},
        "a label called one": {"data": {**phantom, "labels": {"one": 1}}},
        "labels as a list": {"data": {**phantom, "labels": ["mel=malignant"]}},
        "labels as text": {"data": {**phantom, "labels": "mel=malignant"}},
        "exclude a number": {"data": {**phantom, "exclude": 3}},
        "exclude numbers": {"data": {**phantom, "exclude": ["a.png", 2]}},
        "unset variable": {"data": {"kind": "folder", "root": "${EDGETL_NO_SUCH_VARIABLE}"}},
        "unclosed variable": {"data": {"kind": "folder", "root": "${EDGETL_NO_SUCH_VARIABLE"}},
        "a variable with a space": {"data": {"kind": "folder", "root": "${NO SUCH}"}},
        "missing folder": {"data": {"kind": "folder", "root": "/no/such/folder"}},
        "folder with a NUL": {"data": {"kind": "folder", "root": "a\0b"}},
        "folder with a long name": {"data": {"kind": "folder", "root": "x" * 5000}},
        "folder of nobody": {"data": {"kind": "folder", "root": "~nobodyhere/x"}},
        "teacher a number": {"teacher": 4},
        "teacher a word": {"teacher": "resnet18"},
        "no teacher in the list": {"teacher": []},
        "a number among teachers": {"teacher": [4]},
        "a typo among teachers": {"teacher": [{"bakbone": "resnet18"}]},
        "nine teachers": {"teacher": [{"seed": seed} for seed in range(9)]},
        "unlabelled pictures without a teacher": {"teacher": None, "data": {**phantom, "unlabelled": "x"}},
        "unlabelled pictures as a list": {"data": {**phantom, "unlabelled": ["x"]}},
        "nine members": {"teacher": {"members": 9}},
        "no member": {"teacher": {"members": 0}},
        "members as a fraction": {"teacher": {"members": 2.0}},
        "nine networks in the list": {"teacher": [{"members": 5}, {"members": 4, "seed": 9}]},
        "a member twice": {"teacher": [{"members": 3}, {"seed": 2}]},
        "neither labels nor a weight": {"distil": {"label_weight": 0.0}},
        "neither labels nor a teacher": {"teacher": None, "distil": {"label_weight": 0.0, "weights": [1.0]}},
        "hints below zero": {"distil": {"hints": -1.0}},
        "the same teacher twice": {"teacher": several},
        "weights of distillation a number": {"distil": {"weights": 1.0}},
        "no weights of distillation": {"distil": {"weights": []}},
        "negative weights of distillation": {"distil": {"weights": [0, -1]}},
        "no format": {"export": []},
        "a format twice": {"export": ["onnx", "onnx"]},
        "no such format": {"export": ["onx"]},
        "a format as text": {"export": "onnx"},
        "targets as text": {"targets": "local_cpu"},
        "a target as a number": {"targets": [1]},
        "round to true": {"prune": {"round_to": True}},
        "epochs as true": {"distil": {"epochs": True}},
        "epochs as text": {"distil": {"epochs": "3"}},
        "epochs with a fraction": {"distil": {"epochs": 2.5}},
    }
    return (Case(name, _replaced(**sections)) for name, sections in values.items())


def _walk(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], fields.Field]]:
    """Every field of the recipe; what all training runs share only once."""
    for field in fields.fields(model):
        yield (*path, field.name), field
        section = fields.section(field.info.annotation)
        if section:
            yield from _walk(section, (*path, field.name))


def _with(path: tuple[str, ...], value: Any) -> bytes:
    """A recipe with one value at a path."""
    for name in reversed(path):
        value = {name: value}
    section = {"kind": "skin_phantom"} | value["data"] if path[0] == "data" and len(path) > 1 else value[path[0]]
    return _replaced(**{path[0]: section})


def _wrong_types() -> Iterator[Case]:
    for path, _ in _walk(Recipe):
        yield Case(f"{'.'.join(path)} of a wrong type", _with(path, {"zz": {}}))


def _unknown_fields() -> Iterator[Case]:
    yield Case("unknown field", _replaced(epoch=3))
    for path, field in _walk(Recipe):
        if fields.section(field.info.annotation):
            yield Case(f"{'.'.join(path)} with an unknown field", _with(path, {"sed": 1}))


def _out_of_range() -> Iterator[Case]:
    lower = annotated_types.Interval, annotated_types.Ge, annotated_types.Gt
    upper = annotated_types.Le, annotated_types.Lt
    seen = set()
    for path, field in _walk(Recipe):
        limits = _constraints(field.info)
        if path[-1] in seen or not any(isinstance(one, lower) for one in limits):
            continue
        seen.add(path[-1])
        bounded = any(isinstance(one, upper) for one in limits)
        values = {"far below": "-1e30", "infinite": "1e999", "no number": ".nan"} | (
            {"far above": "1e17"} if bounded else {}
        )
        for word, value in values.items():
            yield Case(f"{'.'.join(path)} {word}", _with(path, "VALUE").replace(b'"VALUE"', value.encode()))


def _constraints(info: Any) -> list[Any]:
    """The bounds of a field, also of one that may be null."""
    found = list(info.metadata)
    pending = [info.annotation]
    while pending:
        annotation = pending.pop()
        for one in getattr(annotation, "__metadata__", ()):
            found += getattr(one, "metadata", [one])
        pending += [part for part in getattr(annotation, "__args__", ()) if part is not type(None)]
    return found


def _overrides() -> Iterator[Case]:
    """A good recipe with a bad --set."""
    texts = {
        "no equals sign": "distil.epochs",
        "no name": "=3",
        "an empty step": "distil..epochs=3",
        "nothing": "",
        "only a dot": ".=1",
        "unknown section": "distill.epochs=3",
        "unknown field": "distil.epoch=3",
        "wrong type": "distil.epochs=many",
        "out of range": "distil.epochs=0",
        "below a number": "prune.macs.x=1",
        "a list as a section": "distil=[1]",
        "a required section null": "data=null",
        "no value": "distil.batch_size=",
        "open bracket": "export=[onnx",
        "two documents": "name=a\n---\nb",
        "an anchor": "name=&a b",
        "a tag": "name=!!python/name:os.system",
        "a colon": "name=a: b: c",
        "a tab": "name=\t",
        "an index beyond the list": "export.7=onnx",
        "a name where an index stands": "export.first=onnx",
        "a very long value": "name=" + "x" * 5000,
        "a very deep value": "name=" + "[" * 500,
        "an unset variable": "data={kind: folder, root: '${EDGETL_NO_SUCH_VARIABLE}'}",
        "format 2": "schema=2",
        "an attribute of Python": "__class__=1",
        "a line break": "na\nme=1",
        "another alphabet": "ёпохи=3",
        "a teacher of the list": "teacher.0.epochs=1",
    }
    return (Case(f"--set with {name}", VALID.encode(), (text,)) for name, text in texts.items())
