"""Arithmetic that can be done before the program runs: on constants, and where nothing happens."""

import ast
import operator
import re
from collections.abc import Callable
from typing import Final

_BINARY: Final[dict[type[ast.operator], Callable[[int, int], int]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}

_UNARY: Final[dict[type[ast.unaryop], Callable[[int], int]]] = {
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}

_COMPARE: Final[dict[type[ast.cmpop], Callable[[int, int], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_ZERO_IS_NOTHING: Final = (ast.Add, ast.Sub, ast.LShift, ast.RShift, ast.BitOr, ast.BitXor)
_IN_RANGE: Final = re.compile(r"g\d+|ctr|link")


def fold(node: ast.AST, mask: int) -> ast.AST:
    """Simplify *node*, whose parts are simple already; *mask* is that of a register."""
    match node:
        case ast.BinOp(ast.Constant(int(a)), op, ast.Constant(int(b))) if type(op) in _BINARY:
            return ast.Constant(_BINARY[type(op)](a, b))
        case ast.BinOp(left, op, ast.Constant(0)) if isinstance(op, _ZERO_IS_NOTHING):
            return left
        case ast.BinOp(ast.Constant(0), ast.Add() | ast.BitOr() | ast.BitXor(), right):
            return right
        case ast.BinOp(ast.Name(name) as left, ast.BitAnd(), ast.Constant(int(value))):
            return left if value & mask == mask and _IN_RANGE.fullmatch(name) else node
        case ast.BinOp(
            ast.BinOp(left, ast.BitAnd(), ast.Constant(int(a))), ast.BitAnd(), ast.Constant(int(b))
        ):
            return fold(ast.BinOp(left, ast.BitAnd(), ast.Constant(a & b)), mask)
        case ast.UnaryOp(op, ast.Constant(int(value))) if type(op) in _UNARY:
            return ast.Constant(_UNARY[type(op)](value))
        case ast.Compare(ast.Constant(int(a)), [op], [ast.Constant(int(b))]) if (
            type(op) in _COMPARE
        ):
            return ast.Constant(_COMPARE[type(op)](a, b))
        case ast.Compare(ast.Constant(int(a)), [ast.In() | ast.NotIn() as op], [ast.Tuple(values)]):
            if all(isinstance(value, ast.Constant) for value in values):
                inside = a in [value.value for value in values if isinstance(value, ast.Constant)]
                return ast.Constant(inside is isinstance(op, ast.In))
    return node


def is_simple(node: ast.expr) -> bool:
    """Tell whether *node* may be written twice: it costs nothing and changes nothing."""
    return isinstance(node, (ast.Constant, ast.Name))
