"""How an instruction is defined: its encoding, its meaning and what the kernel does with it.

    @insn("add[o][.]", XO(31, 266), kernel="COMPUTE")
    def add(s: PtRegs, RT: int, RA: int, RB: int, OE: int, Rc: int) -> None:
        a, b = s.gpr[RA], s.gpr[RB]
        r = a + b & s.mask
        s.gpr[RT] = r
        if OE:
            overflow(s, a, b, r)
        if Rc:
            cr0(s, r)

* The name: what stands in brackets depends on a field: `[.]` Rc, `[o]` OE, `[l]` LK, `[a]` AA.
* The form (`XO`, `D`, ...) makes the bits that tell this instruction from all others.
* `kernel=`: the class in the kernel's `analyse_instr` (enum instruction_type) if `emulate_step`
  does this instruction; without it, it never does. A form with OE set is never emulated.
* `isa=`: the release of the Power ISA that brought it, if newer than 2.03. `bits=64`: it is
  not there on a 32-bit processor.
* `valid=`: a predicate over fields (its parameters are named like them): when it answers
  False, the form is invalid, and the instruction is illegal.
* The parameters: `s` are the registers, `m`, if it is there, is memory, `CIA` and `NIA` the
  addresses of this instruction and of the next one; every other is a field of `fields.py`.

The body is called as it stands, and it is also translated (`translate.py`): fields
become constants, conditions on constants disappear, helpers are inlined, `s.gpr[RT]` becomes a
local variable. Both work from the same text as long as it keeps to this:

* A register is always in range: whatever is stored in `s.gpr`, `s.ctr` or `s.link` is reduced
  with `& s.mask`; `s.cr[n]` holds 0..15; `s.so`, `s.ov`, `s.ca`, `s.ov32`, `s.ca32` hold 0 or 1;
  `s.hi[n]` and `s.lo[n]`, the halves of VSR n, hold 64 bits (FPR n is `s.hi[n]`, VR n is VSR
  32 + n).
* Name these as `s.gpr[RA]`, nothing else: no aliases of `s` or `s.gpr`, no `s.gpr[i]` in a loop.
  A definition that needs loops, `try` or computed register numbers says `inline=False`: it
  is called, and may do anything.
* Otherwise only assignments, `if`, `raise` and calls. No `return`, no nested functions.
* Memory comes first: an access may fault, and then nothing may have changed. Accesses are
  `m.load1(ea)`, `load2`, `load4`, `load8`, `load16` (unsigned, in the byte order of the task),
  `m.store1(ea, value)` ... `store16` (values in range). An *ea* needs no reduction. If an
  instruction makes several accesses, it loads all, then changes registers; before several stores,
  `m.probe_write(ea, size)`.
* A branch sets `s.nip` as its last act, and only when it is taken.
* Helpers: `@inline` for one that is a single `return` expression, or assignments through `s`
  only; its arguments are used like variables. `@pure` for a function of constants (masks), called
  once, when the block is translated. Any other function is called as it stands. If it is given `s`
  itself, it is assumed to change any register, and all are saved and loaded again around it, unless
  it is marked `@leaf`: of the registers named above it touches none (`s.fpscr`, `s.vscr` and the
  like it may).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Final, Literal, NamedTuple, TypeVar

from uprobes_sim_powerpc.isa.fields import FIELDS, IMPLIED, Field

F = TypeVar("F", bound=Callable[..., object])


InsnType = Literal[
    "COMPUTE",
    "LOAD",
    "LOAD_MULTI",
    "LOAD_FP",
    "LOAD_VMX",
    "LOAD_VSX",
    "STORE",
    "STORE_MULTI",
    "STORE_FP",
    "STORE_VMX",
    "STORE_VSX",
    "LARX",
    "STCX",
    "BRANCH",
    "MFSPR",
    "MTSPR",
    "CACHEOP",
    "BARRIER",
    "SYSCALL",
]
"""`enum instruction_type` of the kernel (arch/powerpc/include/asm/sstep.h)."""

Isa = Literal["2.03", "2.05", "2.06", "2.07", "3.0", "3.1"]


class Form(NamedTuple):
    """The bits of an instruction that say which it is."""

    value: int
    mask: int


def D(po: int) -> Form:
    """Primary opcode alone: D, I, B, M and SC forms."""
    return Form(po << 26, 0xFC000000)


def DS(po: int, xo: int) -> Form:
    """Two more bits at the end. Also MD's kin that have them there."""
    return Form(po << 26 | xo, 0xFC000003)


def DQ(po: int, xo: int) -> Form:
    """Three more bits at the end (lxv, stxv)."""
    return Form(po << 26 | xo, 0xFC000007)


def DQ4(po: int, xo: int) -> Form:
    """Four more bits at the end (lxvp, stxvp)."""
    return Form(po << 26 | xo, 0xFC00000F)


def X(po: int, xo: int) -> Form:
    """Ten bits of extended opcode; the last bit is Rc, LK or nothing. XL, XFX and XX1, too."""
    return Form(po << 26 | xo << 1, 0xFC0007FE)


def XO(po: int, xo: int) -> Form:
    """Nine bits of extended opcode between OE and Rc."""
    return Form(po << 26 | xo << 1, 0xFC0003FE)


def XS(po: int, xo: int) -> Form:
    """Nine bits of extended opcode before the last bit of `sh` and Rc. Also XX2."""
    return Form(po << 26 | xo << 2, 0xFC0007FC)


def XX3(po: int, xo: int) -> Form:
    """Eight bits of extended opcode before the three bits that complete VSR numbers."""
    return Form(po << 26 | xo << 3, 0xFC0007F8)


def XX4(po: int, xo: int) -> Form:
    """Two bits of extended opcode before four that complete VSR numbers."""
    return Form(po << 26 | xo << 4, 0xFC000030)


def A(po: int, xo: int) -> Form:
    """Five bits of extended opcode before Rc."""
    return Form(po << 26 | xo << 1, 0xFC00003E)


def MD(po: int, xo: int) -> Form:
    """Three bits of extended opcode before the last bit of `sh` and Rc."""
    return Form(po << 26 | xo << 2, 0xFC00001C)


def MDS(po: int, xo: int) -> Form:
    """Four bits of extended opcode before Rc."""
    return Form(po << 26 | xo << 1, 0xFC00001E)


def DX(po: int, xo: int) -> Form:
    """Five bits of extended opcode before the last bit of the immediate (addpcis)."""
    return Form(po << 26 | xo << 1, 0xFC00003E)


def VX(po: int, xo: int) -> Form:
    """Eleven bits of extended opcode at the end."""
    return Form(po << 26 | xo, 0xFC0007FF)


def VC(po: int, xo: int) -> Form:
    """Ten bits of extended opcode at the end, after Rc (`Rc21`)."""
    return Form(po << 26 | xo, 0xFC0003FF)


def VA(po: int, xo: int) -> Form:
    """Six bits of extended opcode at the end."""
    return Form(po << 26 | xo, 0xFC00003F)


def narrowed(form: Form, value: int, mask: int) -> Form:
    """Fix more bits of *form*: those of *mask*, to be as in *value*."""
    return Form(form.value | value, form.mask | mask)


def MLS(po: int) -> Form:
    """Prefix of type 2 before a D-form suffix."""
    return Form(0x06000000 << 32 | po << 26, 0xFF000000 << 32 | 0xFC000000)


def LS8(po: int) -> Form:
    """Prefix of type 0, 8LS, before a D-form suffix."""
    return Form(0x04000000 << 32 | po << 26, 0xFF000000 << 32 | 0xFC000000)


def LS8X(po: int) -> Form:
    """Prefix of type 0 before a suffix whose last opcode bit completes a VSR number."""
    return Form(0x04000000 << 32 | po << 26, 0xFF000000 << 32 | 0xF8000000)


@dataclass(frozen=True, slots=True, eq=False)
class Insn:
    """One row of the instruction set."""

    name: str
    """Mnemonic, with brackets where fields change it."""
    form: Form
    meaning: FunctionType
    fields: tuple[str, ...]
    """Parameters of `meaning`, in order."""
    kernel: InsnType | None
    isa: Isa
    bits: Literal[32, 64]
    """64: only on 64-bit processors."""
    valid: Callable[..., bool] | None
    inline: bool

    @property
    def prefixed(self) -> bool:
        """Tell whether it is eight bytes long."""
        return self.form.mask > 0xFFFFFFFF

    @property
    def branches(self) -> bool:
        """Tell whether it may go elsewhere."""
        return "nip" in self.meaning.__code__.co_names

    @property
    def ends_block(self) -> bool:
        """Tell whether what follows it in memory is not simply next: isync may change code."""
        return self.branches or self.kernel == "SYSCALL" or self.name == "isync"

    @property
    def checked(self) -> tuple[str, ...]:
        """Name the fields that decide whether a form is valid."""
        return () if self.valid is None else tuple(inspect.signature(self.valid).parameters)

    def is_valid(self, word: int) -> bool:
        """Tell a valid form from one that the ISA excludes by its fields."""
        if self.valid is None:
            return True
        return self.valid(*[field(word) for field in _fields(self.valid)])


@cache
def _fields(predicate: Callable[..., bool]) -> tuple[Field, ...]:
    """Find the fields that *predicate* wants. To look at its signature costs 10 µs."""
    return tuple(FIELDS[name] for name in inspect.signature(predicate).parameters)


TABLE: Final[list[Insn]] = []
"""Every instruction that has been defined so far; `isa.load` imports all definitions."""


def insn(
    name: str,
    form: Form,
    *,
    kernel: InsnType | None = None,
    isa: Isa = "2.03",
    bits: Literal[32, 64] = 32,
    valid: Callable[..., bool] | None = None,
    inline: bool = True,
) -> Callable[[F], F]:
    """Enter the function below as the meaning of an instruction. See the module's docstring."""

    def enter(meaning: F) -> F:
        fields = tuple(inspect.signature(meaning).parameters)
        unknown = set(fields) - FIELDS.keys() - IMPLIED
        assert not unknown, f"{name}: no field is called {unknown}"
        assert isinstance(meaning, FunctionType)
        TABLE.append(Insn(name, form, meaning, fields, kernel, isa, bits, valid, inline))
        return meaning

    return enter


INLINE: Final = "_uprobes_sim_inline"
PURE: Final = "_uprobes_sim_pure"
LEAF: Final = "_uprobes_sim_leaf"


def inline(helper: F) -> F:
    """Mark *helper*: the translator writes its body in place of a call."""
    setattr(helper, INLINE, True)
    return helper


def pure(helper: F) -> F:
    """Mark *helper*: with constant arguments it is called once, by the translator."""
    setattr(helper, PURE, True)
    return helper


def leaf(helper: F) -> F:
    """Mark *helper*: it takes `s` but touches no register that blocks keep in variables."""
    setattr(helper, LEAF, True)
    return helper
