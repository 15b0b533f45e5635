"""Options that hold a mapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.commands.pairs import pairs
from edgetl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {}),
        ("", {}),
        ("mel=malignant,nv=benign", {"mel": "malignant", "nv": "benign"}),
        (" mel = malignant , other= ,", {"mel": "malignant", "other": ""}),
        ('"melanoma, thin"=mel,nv=nv', {"melanoma, thin": "mel", "nv": "nv"}),
        ('"a=b" = "c=d"', {"a=b": "c=d"}),
        ('"say ""a"""=x', {'say "a"': "x"}),
        ("mel=a,mel=a", {"mel": "a"}),
    ],
)
def test_what_is_read(text: str | None, found: dict[str, str]) -> None:
    assert pairs("--map", text, "hint") == found


@pytest.mark.parametrize("text", ["mel", "=x", "a=b=c", '"a,b=c', "mel=a,nv", 'a"b,c=d', "a=b\nc"])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(UsageError, match="expected NAME=VALUE") as caught:
        pairs("--map", text, "hint")
    assert caught.value.hint == "hint"


def test_one_name_with_two_values() -> None:
    with pytest.raises(UsageError, match=r"--map 'mel=b': mel=a was said before"):
        pairs("--map", "mel=a,nv=b,mel=b", "hint")


_NAMES = st.text(st.sampled_from('ab ,="é'), min_size=1, max_size=6).filter(lambda name: name == name.strip())


@given(st.dictionaries(_NAMES, _NAMES, max_size=3))
def test_any_name_can_be_quoted(wanted: dict[str, str]) -> None:
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in [*wanted, *wanted.values()]}
    assert pairs("--map", ",".join(f"{quoted[a]}={quoted[b]}" for a, b in wanted.items()), "hint") == wanted


@given(st.text(st.sampled_from('ab,=" \n\r\t\\'), max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert "" not in pairs("--map", text, "hint")
    except UsageError:
        return
