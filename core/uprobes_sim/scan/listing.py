"""One instruction of a scan after the other, each with its answer and its reason."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

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


Wanted = Callable[[Verdict], bool]


def everything(verdict: Verdict) -> bool:
    """Want all."""
    return True


def listing(judge: Judge, code: Code, wanted: Wanted = everything) -> Iterator[Listed]:
    """List the instructions of a file whose answers are *wanted*.

    Raises:
        ProgramError: as `Judge.parts`.
    """
    known = dict[tuple[int, bytes], Verdict]()
    for part in judge.parts(code):
        holders = code.functions.holders(part.vaddr).tolist()
        rows = zip(part.sweep.form.tolist(), holders, strict=True)
        for index, (number, holder) in enumerate(rows):
            if wanted(judge.forms[number][0]):
                yield _listed(judge, code, part, index, number, holder, known)


def _listed(
    judge: Judge,
    code: Code,
    part: Part,
    index: int,
    number: int,
    holder: int,
    known: dict[tuple[int, bytes], Verdict],
) -> Listed:
    at, size, abi = int(part.sweep.at[index]), int(part.sweep.size[index]), judge.info.abi
    insn = part.insn(index, judge.info.max_insn_bytes)
    vaddr, verdict = Vaddr(part.piece.vaddr + at), known.get((number, insn[:size]))
    if verdict is None:
        verdict = judge.ask(part, index)[2][0]
        if verdict.verdict != "reject":  # whose reason may tell more of the bytes behind it
            known[number, insn[:size]] = verdict
    return Listed(
        holder,
        None if holder < 0 else code.functions.name(holder),
        0 if holder < 0 else vaddr - int(code.functions.start[holder]),
        vaddr,
        Offset(code.base + vaddr - part.range.vaddr + part.range.offset),
        size,
        judge.hook.arch_format_insn(insn=insn, abi=abi),
        judge.hook.arch_insn_text(insn=insn, vaddr=vaddr, abi=abi),
        verdict,
    )
