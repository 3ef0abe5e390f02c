"""The page of all powerpc instructions, from their definitions: run this file to write it."""

from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Final

from uprobes_sim_powerpc import isa
from uprobes_sim_powerpc.insn import can_single_step, is_trap
from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import IMPLIED

PAGE: Final = Path(__file__).parents[1] / "docs" / "powerpc-instructions.md"

_HEAD: Final = """\
# PowerPC instructions

What the simulator knows, and what Linux does with it when it is probed. Written by
`python tests/powerpc_table.py` from `arches/powerpc/uprobes_sim_powerpc/isa`, one definition each.

- **Mnemonic**: what stands in brackets depends on a field: `[.]` Rc, `[o]` OE, `[l]` LK, `[a]` AA.
- **Value, mask**: an instruction is this one if its bits under the mask are the value, and no other
  row with more bits in its mask fits. A prefixed instruction has its prefix first.
- **ISA**: the Power ISA that brought it; *64*: not on 32-bit processors.
- **Linux**: its class in `analyse_instr`, if `emulate_step` does it (never with OE set); *out of
  line*: it is executed in a slot; *refused*: no probe can be set on it. This is Linux 6.12; which
  release, processor and MMU change that is what `uprobes-sim --arch powerpc explain` tells.
- **Fields**: those that its meaning takes, with the names of `isa/fields.py`.
"""


def page() -> str:
    """Write the page."""
    parts = [_HEAD]
    rows = sorted(isa.load(), key=lambda row: row.meaning.__module__)
    for module, group in groupby(rows, key=lambda row: row.meaning.__module__):
        parts.append("\n".join([f"## {_title(module)}", "", *_table(group), ""]))
    return "\n".join(parts)


def _title(module: str) -> str:
    text = import_module(module).__doc__
    assert text is not None
    return text.split("\n")[0].removesuffix(".")


def _table(rows: Iterator[Insn]) -> Iterator[str]:
    yield "| mnemonic | value | mask | ISA | Linux | fields |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in sorted(rows, key=lambda row: (row.form, row.name)):
        digits = 16 if row.prefixed else 8
        value, mask = (f"`{number:0{digits}x}`" for number in row.form)
        level = row.isa if row.bits == 32 else f"{row.isa}, 64"
        fields = " ".join(name for name in row.fields if name not in IMPLIED)
        yield f"| `{row.name}` | {value} | {mask} | {level} | {_linux(row)} | {fields} |"


def _linux(row: Insn) -> str:
    word = row.form.value >> 32 if row.prefixed else row.form.value
    if is_trap(word, 64) or not can_single_step(word):
        return "refused"
    return row.kernel or "out of line"


if __name__ == "__main__":
    PAGE.write_text(page())
