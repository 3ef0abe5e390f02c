"""The meaning of one instruction at one address, as Python text in which nothing is left to decide.

Fields and addresses become constants, conditions on them disappear, helpers are written in place
of their calls, registers become local variables: `s.gpr[3]` is `g3`, `s.cr[0]` is `c0`, `s.so` is
`so`. Memory is reached through the tables of `mmu.py`. What may be written in a
definition, so that this works, is said in `isa/define.py`.
"""

import ast
import builtins
import copy
import inspect
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import count
from types import FunctionType
from typing import Final

from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT
from uprobes_sim_powerpc.decode import operands
from uprobes_sim_powerpc.fold import fold, is_simple
from uprobes_sim_powerpc.isa.define import INLINE, LEAF, PURE, Insn
from uprobes_sim_powerpc.mmu import CODES
from uprobes_sim_powerpc.op import Op
from uprobes_sim_powerpc.tidy import tidy

FILES: Final = {"gpr": "g", "cr": "c", "hi": "h", "lo": "l"}
"""Lists of registers, and the letter before the number of the variable of each."""

SCALARS: Final = frozenset({"ca", "ca32", "ctr", "link", "ov", "ov32", "so"})
"""Single registers; the variable has the same name."""

APART: Final = frozenset({"fpscr", "reserve_ea", "spr", "tar", "tb", "vrsave", "vscr", "xer_rest"})
"""Registers that stay where they are, and through which none of the others is reached."""


_BUILTINS: Final = vars(builtins)


class Untranslatable(Exception):
    """A definition that must be called: it says so, or it is not written as agreed."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What is the same for all instructions of a task; `s` has attributes of these names."""

    bits: int
    mask: int
    isa_300: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """What one instruction becomes."""

    lines: tuple[str, ...]
    """Without the branch, if there is one."""
    condition: str
    """Of the branch; empty: always taken, or no branch."""
    target: str
    """Of the branch: a number, or where the number is found. Empty: no branch."""
    names: dict[str, object]
    """What the text refers to, by global name."""


def translate(op: Op, mode: Mode) -> Piece:
    """Translate an instruction.

    Raises:
        Untranslatable: it must be called.
    """
    if not op.row.inline:
        raise Untranslatable(op.row.name)
    cia = op.cia if "CIA" in op.row.fields else 0
    nia = op.nia & mode.mask if "NIA" in op.row.fields else 0
    return _translate(op.row, op.insn, cia, nia, mode)


@lru_cache(maxsize=1 << 14)
def _translate(row: Insn, insn: int, cia: int, nia: int, mode: Mode) -> Piece:
    fields = {**operands(row, insn), "CIA": cia, "NIA": nia}
    bound: dict[str, ast.expr] = {
        name: ast.Constant(fields[name]) for name in row.fields if name in fields
    }
    maker = _Maker(mode)
    body = tidy(maker.expand(row.meaning, bound))
    condition = target = ""
    if row.branches:
        body, condition, target = _split(body)
    lines = [line for statement in body for line in ast.unparse(statement).split("\n")]
    return Piece(tuple(lines), condition, target, maker.names)


def _split(body: list[ast.stmt]) -> tuple[list[ast.stmt], str, str]:
    """Take the branch off the end of a body: condition and target."""
    match body:
        case [*before, ast.Assign([ast.Name("nip")], target)]:
            return before, "", ast.unparse(target)
        case [*before, ast.If(condition, [ast.Assign([ast.Name("nip")], target)], [])]:
            return before, ast.unparse(_bare(condition)), ast.unparse(target)
    raise Untranslatable("a branch that does not end with the branch")


def _bare(condition: ast.expr) -> ast.expr:
    """Take `bool` off: `if` does the same."""
    match condition:
        case ast.Call(ast.Name("bool"), [inner]):
            return inner
    return condition


def _assign(target: ast.expr, value: ast.expr) -> ast.Assign:
    return ast.Assign([target], value, lineno=0)


@dataclass(frozen=True, slots=True)
class _Source:
    """A definition or a helper, parsed."""

    body: list[ast.stmt]
    parameters: list[str]
    assigned_once: frozenset[str]
    """Variables that keep what they first get."""


@cache
def _source(meaning: FunctionType) -> _Source:
    try:
        text = inspect.getsource(meaning)
    except OSError as exc:  # an installation without sources
        raise Untranslatable(meaning.__name__) from exc
    function = ast.parse(textwrap.dedent(text)).body[0]
    if not isinstance(function, ast.FunctionDef):
        raise Untranslatable(f"{meaning.__name__} is no plain function")
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    stores = Counter(
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    once = frozenset(name for name, times in stores.items() if times == 1)
    return _Source(body, [argument.arg for argument in function.args.args], once)


class _Maker:
    """The state of one translation: names that were needed, variables that were made."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.names: dict[str, object] = {}
        self.pending: list[ast.stmt] = []
        """What must be computed before the statement that is being rewritten."""
        self._numbers = count(1)

    def fresh(self) -> str:
        """Make a new variable."""
        return f"_{next(self._numbers)}"

    def computed(self, value: ast.expr) -> ast.expr:
        """Have *value* computed once, in advance, unless it may be written many times."""
        if is_simple(value):
            return value
        name = self.fresh()
        self.pending.append(_assign(ast.Name(name, ast.Store()), value))
        return ast.Name(name, ast.Load())

    def take_pending(self) -> list[ast.stmt]:
        """Give what must come first, once."""
        taken, self.pending = self.pending, []
        return taken

    def expand(self, function: FunctionType, bound: dict[str, ast.expr]) -> list[ast.stmt]:
        """Give the statements of *function* with its parameters *bound*."""
        return _Specializer(self, function, bound).statements(_source(function).body)

    def name_of(self, name: str, value: object) -> str:
        """Give the global name by which the text can refer to *value*."""
        if self.names.setdefault(name, value) is not value:
            raise Untranslatable(f"two things are called {name}")
        return name


class _Specializer(ast.NodeTransformer):
    """Rewrites the body of one function, a definition or a helper."""

    def __init__(self, maker: _Maker, function: FunctionType, bound: dict[str, ast.expr]) -> None:
        self.maker = maker
        self.function = function
        self.bound = bound
        self.locals: dict[str, str] = {}
        self.assigned_once = _source(function).assigned_once

    def statements(self, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        """Rewrite statements; one may become several, or none."""
        found: list[ast.stmt] = []
        for statement in body:
            rewritten = self._statement(statement)
            found += self.maker.take_pending() + rewritten
        return found

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                pairs = zip(targets, values, strict=True)
                return self.statements(ast.Assign([t], v) for t, v in pairs)
            case ast.Assign([target], value):
                return self._assign(target, value)
            case ast.Expr(ast.Call(ast.Name(name), args)) if self._is(name, INLINE):
                return self._inline_statements(self._global(name), args)
            case ast.Expr(value):
                return [ast.Expr(self.visit(value))]
            case ast.If(test, body, orelse):
                test = self.visit(test)
                if isinstance(test, ast.Constant):
                    return self.statements(body if test.value else orelse)
                before = self.maker.take_pending()
                then, other = self.statements(body), self.statements(orelse)
                return [*before, ast.If(test, then or [ast.Pass()], other)]
            case ast.Raise(ast.expr() as exc, None):
                return [ast.Raise(self.visit(exc), None)]
            case ast.Pass():
                return []
        raise Untranslatable(f"{self.function.__name__}: {ast.unparse(node)}")

    def _assign(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        value = self.visit(value)
        if isinstance(target, ast.Name):
            if isinstance(value, ast.Constant) and target.id in self.assigned_once:
                self.bound[target.id] = value
                return []
            return [_assign(ast.Name(self._local(target.id), ast.Store()), value)]
        return [_assign(self.visit(target), value)]

    def _local(self, name: str) -> str:
        if name not in self.locals:
            self.locals[name] = self.maker.fresh()
        return self.locals[name]

    def _inline_statements(self, helper: FunctionType, args: list[ast.expr]) -> list[ast.stmt]:
        given = [self.maker.computed(self.visit(arg)) for arg in args]
        before = self.maker.take_pending()
        return before + self.maker.expand(
            helper, dict(zip(_source(helper).parameters, given, strict=True))
        )

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.bound:
            return self.bound[node.id]
        if node.id in self.locals:
            return ast.Name(self.locals[node.id], node.ctx)
        if node.id in ("s", "m"):
            return node
        value = self._global(node.id)
        if isinstance(value, int):
            return ast.Constant(value)
        return ast.Name(self.maker.name_of(node.id, value), ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if not (isinstance(node.value, ast.Name) and node.value.id == "s"):
            return ast.Attribute(self.visit(node.value), node.attr, node.ctx)
        if node.attr in Mode.__slots__:
            return ast.Constant(getattr(self.maker.mode, node.attr))
        if node.attr in SCALARS or node.attr == "nip":
            return ast.Name(node.attr, node.ctx)
        if node.attr in APART:
            return node
        raise Untranslatable(f"s.{node.attr}")

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        index = self.visit(node.slice)
        match node.value:
            case ast.Attribute(ast.Name("s"), file) if file in FILES:
                if not isinstance(index, ast.Constant) or not isinstance(index.value, int):
                    raise Untranslatable(f"s.{file}[{ast.unparse(index)}]")
                return ast.Name(f"{FILES[file]}{index.value}", node.ctx)
        return ast.Subscript(self.visit(node.value), index, node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node.func:
            case ast.Name(name):
                return self._call(name, node.args)
            case ast.Attribute(ast.Name("m"), method):
                return self._access(method, [self.visit(arg) for arg in node.args])
        return ast.Call(
            self.visit(node.func),
            [self.visit(arg) for arg in node.args],
            [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords],
        )

    def _call(self, name: str, args: list[ast.expr]) -> ast.expr:
        helper = self._global(name)
        given = [self.visit(arg) for arg in args]
        if self._is(name, INLINE):
            return self._inline_expression(helper, given)
        values = [arg.value for arg in given if isinstance(arg, ast.Constant)]
        if len(values) == len(given) and (self._is(name, PURE) or helper in (bool, int)):
            return ast.Constant(helper(*values))
        takes_all = any(isinstance(arg, ast.Name) and arg.id == "s" for arg in given)
        if takes_all and not self._is(name, LEAF):
            raise Untranslatable(name)
        return ast.Call(ast.Name(self.maker.name_of(name, helper), ast.Load()), given, [])

    def _inline_expression(self, helper: FunctionType, given: list[ast.expr]) -> ast.expr:
        match _source(helper).body:
            case [ast.Return(ast.expr() as value)]:
                pass
            case _:
                raise Untranslatable(f"{helper.__name__} is no expression")
        bound = dict(zip(_source(helper).parameters, map(self.maker.computed, given), strict=True))
        result: ast.expr = _Specializer(self.maker, helper, bound).visit(value)
        return result

    def _access(self, method: str, given: list[ast.expr]) -> ast.expr:
        kind, size = method.rstrip("0123456789"), method.lstrip("abcdefghijklmnopqrstuvwxyz_")
        if kind not in ("load", "store") or not size or int(size) not in CODES:
            return ast.Call(ast.Attribute(ast.Name("m", ast.Load()), method, ast.Load()), given, [])
        ea = self.maker.computed(given[0])
        page = ast.BinOp(ea, ast.RShift(), ast.Constant(PAGE_SHIFT))
        at = ast.BinOp(ea, ast.BitAnd(), ast.Constant(PAGE_MASK))
        table = ast.Name("R" if kind == "load" else "W", ast.Load())
        pages = ast.Subscript(table, page, ast.Load())
        quick = ast.Name(f"{kind}{size}", ast.Load())
        call = ast.Call(quick, [pages, at, *given[1:]], [])
        return ast.Subscript(call, ast.Constant(0), ast.Load()) if kind == "load" else call

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            chosen: ast.expr = self.visit(node.body if test.value else node.orelse)
            return chosen
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Rewrite `and`, `or`: operands that are constant decide, or go."""
        stop = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        value: ast.expr
        for operand in node.values:
            value = self.visit(operand)
            if isinstance(value, ast.Constant):
                if bool(value.value) is stop:
                    kept.append(value)
                    break
            else:
                kept.append(value)
        if not kept:
            return value
        return kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Rewrite what lies inside, then do what can be done at once."""
        return fold(super().generic_visit(_shallow(node)), self.maker.mode.mask)

    def _global(self, name: str) -> FunctionType:
        found: FunctionType | None = self.function.__globals__.get(name, _BUILTINS.get(name))
        if found is None:
            raise Untranslatable(f"{self.function.__name__} knows no {name}")
        return found

    def _is(self, name: str, mark: str) -> bool:
        return hasattr(self.function.__globals__.get(name), mark)


def _shallow(node: ast.AST) -> ast.AST:
    """Copy *node* so far that rewriting its children leaves the original alone."""
    new = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(new, name, value.copy())
    return new
