"""Ten ways to be wrong, which the tests must notice.

As a pytest plugin it makes a whole run of tests work on the mutant that the environment names.
"""

import inspect
import linecache
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Final, cast

from uprobes_sim_powerpc import decode, isa
from uprobes_sim_powerpc.isa.define import TABLE, Form, Insn, InsnType, narrowed
from uprobes_sim_powerpc.regs import PtRegs
from uprobes_sim_powerpc.samples.draw import field_bits

VARIABLE: Final = "UPROBES_SIM_MUTANT"

Change = Callable[[Insn], Insn]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one row."""

    row: str
    what: str
    change: Change

    @property
    def name(self) -> str:
        """Name it, for people and for the environment."""
        return f"{self.row}: {self.what}"


def _form(change: Callable[[Form], Form]) -> Change:
    return lambda row: replace(row, form=change(row.form))


def _kernel(kernel: InsnType | None) -> Change:
    return lambda row: replace(row, kernel=kernel)


def _text(old: str, new: str) -> Change:
    """Change the text of the meaning: calls and translation both see it."""

    def change(row: Insn) -> Insn:
        source = inspect.getsource(row.meaning)
        text = source[source.index("def ") :]
        assert text.count(old) == 1, f"{row.name} has no {old}"
        text = text.replace(old, new)
        file = f"<mutant {row.name}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        names = dict(row.meaning.__globals__)
        exec(compile(text, file, "exec"), names)
        meaning = names[row.meaning.__name__]
        assert isinstance(meaning, FunctionType)
        return replace(row, meaning=meaning)

    return change


JUDGED: Final = (
    Mutant("addi", "odd immediates are no part of it", _form(lambda f: narrowed(f, 0, 1))),
    Mutant("xxsel", "a bit of XC belongs to the opcode", _form(lambda f: narrowed(f, 0, 1 << 6))),
    Mutant("mulli", "opcode 9", _form(lambda f: Form(9 << 26, f.mask))),
    Mutant("addic", "no carry", _text("carry(s, a, b, r)", "pass")),
    Mutant("sraw[.]", "five bits of shift", _text("& 63", "& 31")),
    Mutant("lhbrx", "bytes not reversed", _text("swap16(m.load2(", "(m.load2(")),
    Mutant("stwu", "no update", _text("s.gpr[RA] = ea", "pass")),
)
"""Mutants that the judge must kill."""

EMULATED: Final = (
    Mutant("lwz", "a store to the kernel", _kernel("STORE")),
    Mutant("brh", "the kernel emulates it", _kernel("COMPUTE")),
    Mutant("bc[l][a]", "the kernel does not emulate it", _kernel(None)),
)
"""Mutants that the tests of the verdicts must kill."""


def pytest_configure() -> None:
    """Put the mutant that the environment names into the table."""
    wanted = os.environ[VARIABLE]
    mutant = next(mutant for mutant in (*JUDGED, *EMULATED) if mutant.name == wanted)
    install({mutant.row: mutant.change})


def idle(row: Insn) -> Insn:
    """Let *row* do nothing at all."""
    meaning = cast("FunctionType", _stay if row.branches else _nothing)
    return replace(row, meaning=meaning, inline=False)


def narrower(row: Insn) -> Insn:
    """Make a bit of a field of *row*, if it has any, a part of its opcode."""
    rng = random.Random(row.name)
    bits = [1 << bit for bit in range(64) if field_bits(row) >> bit & 1]
    if not bits:
        return row
    bit = rng.choice(bits)
    return replace(row, form=narrowed(row.form, rng.choice((0, bit)), bit))


def _nothing(s: PtRegs, *fields: object) -> None:
    pass


def _stay(s: PtRegs, *fields: object) -> None:
    s.nip = s.nip


def install(changes: Mapping[str, Change]) -> list[Insn]:
    """Change rows, by name; answer the table as it was."""
    before = list(isa.load())
    restore([changes[row.name](row) if row.name in changes else row for row in before])
    return before


def restore(table: list[Insn]) -> None:
    """Make the instruction set be *table*."""
    TABLE[:] = table
    isa.load.cache_clear()
    decode.decoder.cache_clear()
