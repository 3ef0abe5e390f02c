"""Where a function is left: for those who cannot use return probes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from uprobes_sim.check.code import Code, Function
from uprobes_sim.check.plt import stub_names
from uprobes_sim.flow import Flow
from uprobes_sim.units import Vaddr

ExitKind = Literal["return", "tail_call", "jump", "no_return", "trap"]

_NO_RETURN: Final = frozenset(
    {
        "abort",
        "exit",
        "_exit",
        "_Exit",
        "quick_exit",
        "pthread_exit",
        "longjmp",
        "_longjmp",
        "siglongjmp",
        "__longjmp_chk",
        "__stack_chk_fail",
        "__fortify_fail",
        "__chk_fail",
        "__assert_fail",
        "__cxa_throw",
        "__cxa_rethrow",
        "__cxa_bad_cast",
        "_Unwind_Resume",
        "err",
        "errx",
        "verr",
        "verrx",
        "_ZSt9terminatev",
        "__libc_fatal",
        "__libc_start_main",
        "runtime.throw",
        "runtime.gopanic",
        "runtime.panicIndex",
    }
)
"""Functions that do not come back."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out of a function."""

    vaddr: Vaddr
    kind: ExitKind
    """`jump`: by a register, which may be a tail call or a switch; `trap`: the program dies."""
    conditional: bool
    target: Vaddr | None = None
    target_name: str | None = None


def exits_of(code: Code, function: Function) -> Iterator[Exit]:
    """List the ways out of *function*, in the order of its code; what is seldom run comes last."""
    stubs = stub_names(code.program)
    pieces = _pieces(code, function)
    for piece in pieces:
        insns = list(code.walk(piece.start, piece.end))
        reached = reached_of(insns)
        for at, (vaddr, flow) in enumerate(insns):
            kind = _kind(flow, pieces)
            if kind == "trap" and at not in reached:
                continue  # Go fills up with them
            if flow.kind == "call" and _ends(code, piece, vaddr, flow, stubs):
                kind = "no_return"
            if kind is not None:
                name = None if flow.target is None else _name(code, flow.target, stubs)
                conditional = flow.conditional or flow.kind == "branch"
                yield Exit(vaddr, kind, conditional, flow.target, name)


def reached_of(insns: list[tuple[Vaddr, Flow]]) -> set[int]:
    """Give the instructions that come behind another, or to which one jumps: not the padding."""
    targets = {flow.target for _, flow in insns if flow.kind in ("branch", "jump")}
    found, comes = set[int](), True
    for at, (vaddr, flow) in enumerate(insns):
        comes = comes or vaddr in targets
        if comes:
            found.add(at)
        comes = comes and flow.goes_on
    return found


def _pieces(code: Code, function: Function) -> list[Function]:
    """List the parts of a function: compilers put what is seldom run elsewhere."""
    return [function, *code.named(f"{function.name}.cold")]


def _kind(flow: Flow, pieces: list[Function]) -> ExitKind | None:
    if flow.kind == "return":
        return "return"
    if flow.kind == "trap":
        return "trap"
    if flow.kind == "jump" and flow.target is None:
        return "jump"
    if flow.kind not in ("jump", "branch") or flow.target is None:
        return None
    inside = any(piece.start <= flow.target < piece.end for piece in pieces)
    return None if inside else "tail_call"


def _ends(code: Code, piece: Function, vaddr: Vaddr, flow: Flow, stubs: dict[Vaddr, str]) -> bool:
    """Tell whether a call does not come back: by its name, or because no code follows."""
    if flow.target is not None and _name(code, flow.target, stubs) in _NO_RETURN:
        return True
    after = Vaddr(vaddr + flow.size)
    return after >= piece.end or code.flow(after).kind == "unknown"


def _name(code: Code, target: Vaddr, stubs: dict[Vaddr, str]) -> str | None:
    """Name the function at *target*, or the one that a stub there leads to."""
    if target in stubs:
        return stubs[target]
    function = code.function_at(target)
    if function is None or function.symbol is None:
        return None
    distance = target - function.start
    inside = distance and target != code.entry(function.symbol, want_global=False)
    return f"{function.name}+{distance:#x}" if inside else function.name
