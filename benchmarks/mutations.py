"""Every single change of an operator, a constant, a condition, a return or a raise in a module's source.

Left alone is what no result depends on: annotations, docstrings and other text, decorators, assertions (they hold for
us, not for users), `__all__`, what an exception says, and arguments like `strict=True`.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}
_NAMES |= {"argmin": "argmax", "argmax": "argmin"}
_UNREAD_ARGUMENTS = {"strict", "stacklevel", "slots", "frozen", "daemon"}


@dataclass(frozen=True)
class Mutation:
    """One change: `change` says it (`< -> <=`), `text` is the module's source with it.

    line: 1-based; source: that line as it was; nth: which of several equal changes to equal lines, from 0.
    """

    line: int
    source: str
    change: str
    nth: int
    text: str


def mutations(source: str) -> list[Mutation]:
    """All of a module, in the order of its syntax tree."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    encoded = source.encode()
    seen: dict[tuple[str, str], int] = {}
    made = []
    for node, change, replacement in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        text = (encoded[:begin] + replacement.encode() + encoded[end:]).decode()
        line = lines[node.lineno - 1].strip()
        nth = seen[line, change] = seen.get((line, change), -1) + 1
        made.append(Mutation(node.lineno, line, change, nth, text))
    return made


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    """(what is replaced, how it is called, by which source)."""
    if isinstance(tree, ast.Constant | ast.Compare | ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.Name | ast.Attribute):
        for change, expression in _of_expression(tree):
            yield tree, change, f"({ast.unparse(expression)})"
    elif isinstance(tree, ast.AugAssign) and type(tree.op) in _OPERATORS:
        swapped = copy.copy(tree)
        swapped.op = _OPERATORS[type(tree.op)]()
        yield tree, f"{_symbol(tree.op)}= -> {_symbol(swapped.op)}=", ast.unparse(swapped)
    elif isinstance(tree, ast.Raise):
        yield tree, "raise -> pass", "pass"
    if isinstance(tree, ast.If | ast.While | ast.IfExp) and not isinstance(
        tree.test, ast.Compare | ast.BoolOp | ast.UnaryOp
    ):
        yield tree.test, "condition -> not condition", f"(not ({ast.unparse(tree.test)}))"
    if isinstance(tree, ast.FunctionDef):
        yield from _returns(tree)
    for child in _read_parts(tree):
        yield from _changes(child)


def _of_expression(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for number in _neighbours(node.value):
            yield f"{node.value} -> {number}", ast.Constant(number)
    elif isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[position] = other()
                yield f"{_symbol(operator)} -> {_symbol(changed.ops[position])}", changed
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        swapped = ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
        yield f"{_symbol(node.op)} -> {_symbol(swapped.op)}", swapped
    elif isinstance(node, ast.BoolOp):
        other_word = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{_symbol(node.op)} -> {_symbol(other_word)}", ast.BoolOp(other_word, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield f"{_symbol(node.op)} -> nothing", node.operand
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield f"{node.id} -> {_NAMES[node.id]}", ast.Name(_NAMES[node.id])
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield f"{node.attr} -> {_NAMES[node.attr]}", ast.Attribute(node.value, _NAMES[node.attr])


def _neighbours(value: float) -> list[float]:
    """A whole number by one more and less, as far as it may be an index or a count; others doubled and halved."""
    if value == 0:
        return [value + 1]
    if isinstance(value, int) and value < 1000:
        return [value - 1, value + 1]
    return [value // 2 if isinstance(value, int) else value / 2, value * 2]


def _returns(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, str, str]]:
    """A constant in place of what a function returns: False and True for a bool, else None."""
    is_bool = function.returns is not None and ast.unparse(function.returns) == "bool"
    inner = {
        id(part) for node in ast.walk(function) if node is not function and _is_scope(node) for part in ast.walk(node)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and id(node) not in inner and not isinstance(node.value, ast.Constant | None):
            for constant in ("False", "True") if is_bool else ("None",):
                yield node, f"return -> return {constant}", f"return {constant}"


def _is_scope(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef)


def _read_parts(tree: ast.AST) -> Iterator[ast.AST]:
    """The children that results depend on."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "exc", "cause"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Assert | ast.JoinedStr) or _is_unread(child):
                continue
            if isinstance(child, ast.AST):
                yield child


def _is_unread(node: object) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in _UNREAD_ARGUMENTS
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "__all__"
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")


def _symbol(operator: ast.operator | ast.cmpop | ast.boolop | ast.unaryop) -> str:
    if isinstance(operator, ast.unaryop):
        return ast.unparse(ast.UnaryOp(operator, ast.Name("x"))).removesuffix("x").strip()
    if isinstance(operator, ast.boolop):
        return "and" if isinstance(operator, ast.And) else "or"
    if isinstance(operator, ast.cmpop):
        return ast.unparse(ast.Compare(ast.Name("x"), [operator], [ast.Name("y")]))[2:-2]
    return ast.unparse(ast.BinOp(ast.Name("x"), operator, ast.Name("y")))[2:-2]
