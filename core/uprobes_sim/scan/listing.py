"""One instruction of a scan after the other, each with its answer and its reason."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final, NamedTuple

import numpy as np

from uprobes_sim.scan.code import Code
from uprobes_sim.scan.scanner import Judge, Part
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.verdict import Verdict


class Listed(NamedTuple):
    """One instruction where it lies."""

    function: int
    """Number of the function that holds it; -1: none does."""
    symbol: str | None
    distance: int
    """Bytes from the symbol to it."""
    vaddr: Vaddr
    offset: Offset
    size: int
    insn: str
    """As the backend reads it (`arch_parse_insn`)."""
    text: str
    verdict: Verdict


_FORMATTED: Final = 1 << 16
"""Instructions whose digits are remembered."""

Wanted = Callable[[Verdict], bool]


def everything(verdict: Verdict) -> bool:
    """Want all."""
    return True


def listing(judge: Judge, code: Code, wanted: Wanted = everything) -> Iterator[Listed]:
    """List the instructions of a file whose answers are *wanted*.

    Raises:
        ProgramError: as `Judge.parts`.
    """
    chosen = np.zeros(0, np.bool_)
    formatted = lru_cache(_FORMATTED)(partial(judge.hook.arch_format_insn, abi=judge.info.abi))
    for part in judge.parts(code):
        fresh = [wanted(answers[0]) for answers in judge.forms[len(chosen) :]]
        chosen = np.append(chosen, np.array(fresh, np.bool_))
        indices = np.flatnonzero(chosen[part.sweep.form])
        holders = code.functions.holders(part.vaddrs(indices))
        for index, holder in zip(indices.tolist(), holders.tolist(), strict=True):
            yield _listed(judge, code, part, index, holder, formatted)


def _listed(
    judge: Judge, code: Code, part: Part, index: int, holder: int, formatted: Callable[[bytes], str]
) -> Listed:
    sweep, room, size = part.sweep, judge.info.max_insn_bytes, int(part.sweep.size[index])
    insn = part.insn(index, room)
    vaddr = Vaddr(part.piece.vaddr + int(sweep.at[index]))
    verdict = judge.forms[sweep.form[index]][0]
    if verdict.verdict == "reject":  # whose reason is of this one
        verdict = judge.ask(part, index)[2][0]
    return Listed(
        holder,
        None if holder < 0 else code.functions.name(holder),
        0 if holder < 0 else vaddr - int(code.functions.start[holder]),
        vaddr,
        Offset(code.base + vaddr - part.range.vaddr + part.range.offset),
        size,
        formatted(insn[:size].ljust(room, b"\0")),
        judge.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=judge.info.abi),
        verdict,
    )
