"""Which general purpose registers an instruction writes, found in its definition."""

import ast
import inspect
import textwrap
from functools import cache

from uprobes_sim_powerpc.isa.define import Insn
from uprobes_sim_powerpc.isa.fields import FIELDS


def written_gprs(row: Insn, insn: int) -> frozenset[int]:
    """Number the GPRs that *insn*, defined by *row*, may write."""
    if row.kernel == "LOAD_MULTI":
        first = FIELDS["RT"](insn)
        return frozenset(n % 32 for n in range(first, first + _count(row, insn, first)))
    return frozenset(FIELDS[field](insn) + offset for field, offset in _targets(row))


def target_fields(row: Insn) -> frozenset[str]:
    """Name the fields on which it depends what `written_gprs` answers."""
    if row.kernel == "LOAD_MULTI":
        return frozenset({"RT", "NB"} & {*row.fields})
    return frozenset(field for field, _ in _targets(row))


def _count(row: Insn, insn: int, first: int) -> int:
    """Count the registers of a multiple or string load; of lswx only XER knows, so all."""
    if row.name == "lmw":
        return 32 - first
    if row.name == "lswi":
        return ((FIELDS["NB"](insn) or 32) + 3) // 4
    return 32


@cache
def _targets(row: Insn) -> frozenset[tuple[str, int]]:
    """List what the definition assigns to `s.gpr[FIELD + offset]`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(row.meaning)))
    return frozenset(
        (field, int(offset or 0))
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) == "s.gpr"
        for field, _, offset in [ast.unparse(node.slice).partition(" + ")]
    )
