"""Predictions from operators: hand-made graphs, the rules as they are, and what is unknown stays so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgetl.config import yaml_document
from edgetl.config.validation import validate
from edgetl.errors import RecipeError
from edgetl.lint.graph import Graph, Kind, Node, graph_of
from edgetl.lint.linting import kind_of, lint
from edgetl.lint.partitions import pieces
from edgetl.lint.predicting import features, predict
from edgetl.lint.rules import Rules, all_rules, rules_of
from edgetl.runtime.backends import BACKENDS

CONV = Kind("CONV_2D", "int8", "int8", True, "")
FLOAT_CONV = Kind("CONV_2D", "float32", "float32", True, "")
SWISH = Kind("HARD_SWISH", "int8", "int8", False, "")
FLOAT_SWISH = Kind("HARD_SWISH", "float32", "float32", False, "")
QUANTIZE = Kind("QUANTIZE", "float32", "int8", False, "")
DEQUANTIZE = Kind("DEQUANTIZE", "int8", "float32", False, "")
SOFTMAX = Kind("SOFTMAX", "float32", "float32", False, "")
STRANGE = Kind("STRANGE", "int8", "int8", False, "")


def chain(*kinds: Kind, elements: int = 100, macs: int = 1000) -> Graph:
    """One after the other."""
    return graph_of(
        [
            (kind, [place - 1] if place else [], elements, macs if kind.weighted else 0)
            for place, kind in enumerate(kinds)
        ]
    )


def rules(name: str) -> Rules:
    return all_rules()[name]


class TestGraph:
    def test_the_same_kinds_are_counted_together(self) -> None:
        graph = chain(CONV, SWISH, CONV, Kind(*vars(CONV).values()))
        assert graph.counts() == {CONV: 3, SWISH: 1}
        assert len(graph.kinds) == 2

    @pytest.mark.parametrize(
        ("kinds", "in_float"),
        [
            ((CONV, SWISH, CONV, DEQUANTIZE, SOFTMAX), {}),
            ((QUANTIZE, CONV, CONV), {}),
            ((CONV, DEQUANTIZE, FLOAT_SWISH, QUANTIZE, CONV), {DEQUANTIZE: 1, FLOAT_SWISH: 1, QUANTIZE: 1}),
            ((FLOAT_CONV, FLOAT_SWISH, FLOAT_CONV, SOFTMAX), {FLOAT_CONV: 2, FLOAT_SWISH: 1}),
            ((SOFTMAX,), {}),
        ],
    )
    def test_only_what_lies_between_the_first_and_the_last_layer_counts(
        self, kinds: tuple[Kind, ...], in_float: dict[Kind, int]
    ) -> None:
        assert chain(*kinds).in_float() == in_float

    def test_the_last_layers_output_may_be_float_and_no_other_ones(self) -> None:
        leaves = Kind("FULLY_CONNECTED", "int8", "float32", True, "")
        assert chain(CONV, leaves, SOFTMAX).in_float() == {}
        assert chain(leaves, CONV).in_float() == {leaves: 1}

    @pytest.mark.parametrize(
        "nodes", [(Node(1, (), 1, 0),), (Node(0, (0,), 1, 0),), (Node(0, (1,), 1, 0), Node(0, (), 1, 0))]
    )
    def test_one_that_does_not_hold_together_is_refused(self, nodes: tuple[Node, ...]) -> None:
        with pytest.raises(ValueError, match="nodes"):
            Graph((CONV,), nodes)


class TestPartitions:
    @pytest.mark.parametrize(
        ("taken", "count"),
        [("", 0), ("t", 1), ("f", 0), ("tttt", 1), ("tft", 2), ("ftf", 1), ("tftftf", 3), ("fft", 1)],
    )
    def test_a_chain_is_cut_at_every_operator_that_is_not_taken(self, taken: str, count: int) -> None:
        assert pieces(chain(*[CONV] * len(taken)), [letter == "t" for letter in taken]) == count

    def test_branches_that_can_be_computed_together_are_one_piece(self) -> None:
        """Two branches, each taken, not, taken: TFLite collects both ends into one piece."""
        graph = graph_of([(CONV, after, 1, 1) for after in ([], [0], [0], [1], [2], [3, 4])])
        assert pieces(graph, [True, False, False, True, True, True]) == 2

    def test_a_branch_that_waits_for_a_longer_one_makes_no_piece_of_its_own(self) -> None:
        graph = graph_of([(CONV, after, 1, 1) for after in ([], [0], [1], [0], [2, 3])])
        assert pieces(graph, [True, False, True, True, True]) == 2


class TestRules:
    def test_each_file_is_of_a_backend_and_says_of_every_rule_with_which_version_and_where_it_was_seen(self) -> None:
        assert set(all_rules()) == {"ethos_u", "onnxruntime_cpu", "openvino_cpu", "openvino_npu", "xnnpack"}
        for name, known in all_rules().items():
            assert known.backend in BACKENDS, name
            seen = [(rule.version, rule.source) for rule in known.rules]
            for version, source in [*seen, *((each.version, each.source) for each in known.expectations)]:
                assert re.search(r"\d+\.\d+", version), (name, version)
                assert re.match(r"https://\S+$|measured here by `[^`]+`", source), (name, source)

    @pytest.mark.parametrize(
        ("name", "operator", "takes", "gives", "verdict"),
        [
            ("xnnpack", "CONV_2D", "int8", "int8", "native"),
            ("xnnpack", "HARD_SWISH", "int8", "int8", "falls_back"),
            ("xnnpack", "GELU", "int8", "int8", "falls_back"),
            ("xnnpack", "HARD_SWISH", "float32", "float32", "native"),
            ("xnnpack", "PADV2", "float32", "float32", "falls_back"),
            ("xnnpack", "STRANGE", "int8", "int8", "unknown"),
            ("onnxruntime_cpu", "Conv", "int8", "int8", "native"),
            ("onnxruntime_cpu", "Conv", "int8", "float32", "falls_back"),
            ("onnxruntime_cpu", "HardSwish", "int8", "int8", "falls_back"),
            ("onnxruntime_cpu", "Sigmoid", "int8", "int8", "native"),
            ("onnxruntime_cpu", "HardSwish", "float32", "float32", "native"),
            ("openvino_cpu", "Convolution", "int8", "float32", "native"),
            ("openvino_cpu", "HSwish", "float32", "int8", "native"),
            ("openvino_cpu", "Softmax", "int8", "int8", "unknown"),
            ("openvino_npu", "Convolution", "int8", "int8", "unknown"),
            ("ethos_u", "HARD_SWISH", "float32", "float32", "falls_back"),
            ("ethos_u", "HARD_SWISH", "int8", "int8", "native"),
            ("ethos_u", "GELU", "int8", "int8", "falls_back"),
        ],
    )
    def test_what_is_known(self, name: str, operator: str, takes: str, gives: str, verdict: str) -> None:
        assert rules(name).verdict(Kind(operator, takes, gives, False, "")) == verdict

    def test_a_detail_decides_where_a_rule_names_it(self) -> None:
        known = rules("xnnpack")
        assert known.verdict(Kind("ADD", "int8", "int8", False, "")) == "native"
        assert known.verdict(Kind("ADD", "int8", "int8", False, "scales")) == "falls_back"
        assert known.verdict(Kind("FULLY_CONNECTED", "int8", "int8", True, "")) == "native"
        assert known.verdict(Kind("FULLY_CONNECTED", "int8", "int8", False, "")) == "falls_back"

    def test_they_are_found_by_the_kind_of_device_and_the_backends(self) -> None:
        assert {backend: name for backend, (name, _) in rules_of("local", list(BACKENDS)).items()} == {
            "onnx": "onnxruntime_cpu",
            "openvino": "openvino_cpu",
            "tflite": "xnnpack",
        }
        assert set(rules_of("openvino_npu", list(BACKENDS))) == {"openvino"}
        assert rules_of("openvino_npu", ["onnx"]) == {}
        assert rules_of("toaster", list(BACKENDS)) == {}

    @pytest.mark.parametrize(
        ("rule", "said"),
        [
            ("{operators: [A], verdict: fine, version: '1', source: x}", "expected one of native, falls_back"),
            ("{operators: [A], verdict: native, version: '1'}", "source: is missing"),
            ("{operators: [], verdict: native, version: '1', source: x}", "at least 1 in the list"),
            ("{operators: [A], verdict: native, version: '1', source: x, take: [int8]}", "did you mean 'takes'?"),
        ],
    )
    def test_a_wrong_rule_is_told_with_its_place(self, tmp_path: Path, rule: str, said: str) -> None:
        (tmp_path / "r.yaml").write_text(f"title: t\nbackend: onnx\nkinds: []\nrules:\n  - {rule}\n")
        with pytest.raises(RecipeError) as caught:
            validate(yaml_document.read(tmp_path / "r.yaml"), Rules)
        assert said in str(caught.value)
        assert "r.yaml:5:" in str(caught.value)


class TestPrediction:
    def test_an_integer_graph(self) -> None:
        graph = chain(CONV, CONV, DEQUANTIZE, SOFTMAX, macs=10**5)
        found = predict("tflite-int8", graph, "xnnpack", rules("xnnpack"))
        assert (found.findings, found.operators, found.layers, found.native_layers) == ((), 4, 2, 2)
        assert (found.pieces, found.integer_only, found.int8) == (1, "yes", "faster")

    def test_an_operator_that_falls_back_is_counted_with_where_that_is_known_from(self) -> None:
        found = predict("tflite-int8", chain(CONV, SWISH, CONV, SWISH, CONV), "xnnpack", rules("xnnpack"))
        (finding,) = found.findings
        assert (finding.operator, finding.count, finding.verdict) == ("HARD_SWISH", 2, "falls_back")
        assert "ai-edge-litert 2.3.0; measured here by" in finding.source
        assert (found.pieces, found.native_layers, found.integer_only) == (3, 3, "no")

    def test_an_unknown_operator_leaves_unknown_what_hangs_on_it(self) -> None:
        found = predict("tflite-int8", chain(CONV, STRANGE, CONV), "xnnpack", rules("xnnpack"))
        assert [(finding.verdict, finding.source) for finding in found.findings] == [("unknown", "")]
        assert (found.pieces, found.integer_only, found.int8) == (None, "unknown", "unknown")

    def test_float_operators_make_a_graph_no_integer_one_whatever_is_unknown(self) -> None:
        kinds = (CONV, DEQUANTIZE, FLOAT_SWISH, QUANTIZE, STRANGE, CONV)
        assert predict("tflite-int8", chain(*kinds), "xnnpack", rules("xnnpack")).integer_only == "no"

    def test_a_runtime_of_which_nothing_is_known(self) -> None:
        found = predict("tflite-int8", chain(CONV, SWISH), "", None)
        assert {finding.verdict for finding in found.findings} == {"unknown"}
        assert (found.rules, found.pieces, found.integer_only, found.int8) == ("", None, "unknown", "unknown")

    def test_a_file_whose_operators_nobody_can_read(self) -> None:
        found = predict("pt2-int8", None, "", None)
        assert (found.operators, found.integer_only, found.int8) == (0, "unknown", "unknown")

    def test_a_float_file_is_held_against_what_it_says_itself(self) -> None:
        found = predict("tflite-fp32", chain(FLOAT_CONV, FLOAT_SWISH, FLOAT_CONV), "xnnpack", rules("xnnpack"))
        assert (found.native_layers, found.pieces, found.integer_only, found.int8) == (2, 1, "no", "unknown")

    def test_a_layer_that_an_int8_file_leaves_in_float_is_not_computed_in_int8(self) -> None:
        left = Kind("Convolution", "float32", "float32", True, "")
        kept = Kind("Convolution", "int8", "int8", True, "")
        found = predict("openvino-int8", chain(kept, left, kept), "openvino_cpu", rules("openvino_cpu"))
        assert (found.layers, found.native_layers, found.integer_only) == (3, 2, "no")
        assert features(chain(kept, left, kept), rules("openvino_cpu")).native_macs == pytest.approx(2 / 3)

    @pytest.mark.parametrize(
        ("macs", "int8"), [(13_000, "faster"), (11_700, "unknown"), (9_000, "unknown"), (6_600, "slower")]
    )
    def test_numbers_that_are_converted_decide_in_onnxruntime(self, macs: int, int8: str) -> None:
        """200 numbers around one HardSwish: 15, 17.1, 22 and 30.3 for a thousand multiplications."""
        conv, swish = Kind("Conv", "int8", "int8", True, ""), Kind("HardSwish", "int8", "int8", False, "")
        graph = chain(conv, swish, macs=macs)
        assert features(graph, rules("onnxruntime_cpu")).converted == pytest.approx(200_000 / macs)
        assert predict("onnx-int8", graph, "onnxruntime_cpu", rules("onnxruntime_cpu")).int8 == int8

    def test_conversions_that_are_operators_are_counted_and_those_around_int8_kernels_are_none(self) -> None:
        graph = chain(CONV, DEQUANTIZE, FLOAT_SWISH, QUANTIZE, SWISH, CONV)
        assert features(graph, rules("xnnpack")).converted == pytest.approx(1000 * 200 / 2000)

    @pytest.mark.parametrize(("splits", "int8"), [(1, "faster"), (2, "unknown"), (18, "unknown"), (19, "slower")])
    def test_many_pieces_make_tflites_int8_slow(self, splits: int, int8: str) -> None:
        graph = chain(CONV, *[SWISH, CONV] * splits, macs=10**6)
        found = predict("tflite-int8", graph, "xnnpack", rules("xnnpack"))
        assert (found.pieces, found.int8) == (splits + 1, int8)


class TestTargets:
    def test_every_file_against_a_target(self) -> None:
        graph = chain(CONV, SWISH, CONV)
        found = lint("pi", "local", {"tflite-int8": graph, "onnx-int8": None, "pt2-int8": graph})
        assert [(each.artifact, each.rules) for each in found.artifacts] == [
            ("tflite-int8", "xnnpack"),
            ("onnx-int8", "onnxruntime_cpu"),
            ("pt2-int8", ""),
        ]
        assert found.artifacts[0].pieces == 2

    def test_a_target_is_a_file_or_a_kind_that_rules_know(self, tmp_path: Path) -> None:
        (tmp_path / "targets").mkdir()
        (tmp_path / "targets" / "ethos_u.yaml").write_text("{name: mine, kind: local}")
        assert kind_of("local_cpu", tmp_path) == ("local_cpu", "local")
        assert kind_of("ethos_u", tmp_path) == ("mine", "local")
        assert kind_of("ethos_u", tmp_path / "targets") == ("ethos_u", "ethos_u")
        assert kind_of("openvino_npu", tmp_path) == ("openvino_npu", "openvino_npu"), "edgetl's own target"
        (tmp_path / "targets" / "laptop.yaml").write_text("{name: laptop, kind: openvino, accelerator: npu}")
        assert kind_of("laptop", tmp_path) == ("laptop", "openvino_npu")
        (found,) = lint(*kind_of("laptop", tmp_path), {"openvino-int8": chain(CONV)}).artifacts
        assert found.rules == "openvino_npu"
        (tmp_path / "targets" / "laptop.yaml").write_text("{name: laptop, kind: openvino, accelerator: gpu}")
        assert kind_of("laptop", tmp_path) == ("laptop", "openvino")
        with pytest.raises(RecipeError, match='no target "ethos_v"') as caught:
            kind_of("ethos_v", tmp_path)
        assert "there are rules for: ethos_u, local, openvino_npu" in str(caught.value.hint)

    def test_a_target_file_that_is_wrong_is_no_kind_of_device(self, tmp_path: Path) -> None:
        (tmp_path / "targets").mkdir()
        (tmp_path / "targets" / "ethos_u.yaml").write_text("{name: mine, kind: lokal}")
        with pytest.raises(RecipeError, match="lokal"):
            kind_of("ethos_u", tmp_path)
