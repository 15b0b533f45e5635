"""`edgetl backbones`: the table of backbones that went the whole way, and the page that is made of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import edgetl
from benchmarks import backbones as benchmark
from edgetl.cli import main
from edgetl.errors import UsageError
from edgetl.models import chain
from edgetl.models.chain import Backbone, Chain, ChainFile, Variant


def _files(**times: float | None) -> tuple[ChainFile, ...]:
    return tuple(
        ChainFile(name=name.replace("_", "-"), problem="cannot be had")
        if time is None
        else ChainFile(name=name.replace("_", "-"), bytes=1_000_000, p50_ms=time)
        for name, time in times.items()
    )


_TABLE = Chain(
    note="of a test",
    machine="a machine",
    image_size=224,
    share=0.6,
    backbones=(
        Backbone(name="slow", macs=9, parameters=9, onnx_ms=20.0, files=_files(onnx_fp32=12.0, tflite_int8=3.0)),
        Backbone(name="quick", macs=5, parameters=5, onnx_ms=4.0, files=_files(onnx_fp32=3.0, tflite_int8=None)),
        Backbone(name="refused", problem="pruning to 0.6: 0.7 is the least"),
    ),
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chain.json").write_text(_TABLE.model_dump_json(by_alias=True), encoding="utf-8")
    monkeypatch.setattr(chain, "FILE", tmp_path / "chain.json")


def _names(**asked: float | str) -> list[str]:
    return [backbone.name for backbone in edgetl.backbones(**asked).backbones]  # type: ignore[arg-type]


@pytest.mark.usefixtures("table")
class TestTheTable:
    def test_the_fastest_first_and_none_that_is_refused(self) -> None:
        assert _names() == ["quick", "slow"]

    @pytest.mark.parametrize(
        ("below", "names"), [(4.0, []), (4.1, ["quick"]), (20.0, ["quick"]), (21.0, ["quick", "slow"])]
    )
    def test_below_is_of_the_unpruned_file_in_onnx(self, below: float, names: list[str]) -> None:
        assert _names(below=below) == names

    def test_a_format_is_that_of_the_files_that_can_be_had(self) -> None:
        assert _names(format="tflite") == _names(format="tflite-int8") == ["slow"]
        assert _names(format="openvino") == []
        assert _names(format="onnx", below=10) == ["quick"]

    def test_an_unknown_format(self) -> None:
        with pytest.raises(UsageError, match="--format tflte: unknown; did you mean 'tflite'"):
            edgetl.backbones(format="tflte")

    def test_the_command_prints_what_was_found(self, capsys: pytest.CaptureFixture[str]) -> None:
        for words, check in ((("--json",), json.loads), ((), str)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["edgetl", "backbones", *words])
                with pytest.raises(SystemExit):
                    main()
            out = capsys.readouterr().out
            assert check(out)
            assert "quick" in out
            assert "refused" not in out


def test_without_a_table_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "FILE", tmp_path / "nothing.json")
    with pytest.raises(UsageError, match="no backbones were measured"):
        edgetl.backbones()


def test_the_page_counts_and_tells_why() -> None:
    attention = (Variant(attention="eca", placed=8, parameters=9, reached=0.597),)
    rows = (_TABLE.backbones[0].model_copy(update={"attention": attention}), *_TABLE.backbones[1:])
    page = benchmark.page(_TABLE.model_copy(update={"backbones": rows}))
    plain = " ".join(page.split())
    assert "3 timm backbones" in plain
    assert "2 go all the way, 1 of them in two formats or more" in plain
    assert "| `refused` | pruning to 0.6: 0.7 is the least |" in plain
    assert "| `quick` | tflite-int8 |" in plain
    assert "| `slow` | 0.60 (8) |" in plain


def test_the_page_is_what_the_shipped_table_says() -> None:
    shipped = chain.chain()
    assert shipped is not None
    assert benchmark.PAGE.read_text(encoding="utf-8") == benchmark.page(shipped)
    assert all(file.difference is None or file.difference < 1e-3 for row in shipped.backbones for file in row.files)
