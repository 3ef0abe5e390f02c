"""Names of a file's symbols and tracepoints, and whose they are when it has them not."""

from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from uprobes_sim.check.dynamic import defining, read_dynamic
from uprobes_sim.check.inlined import copies_of, few_of, unread
from uprobes_sim.check.plt import stub_names
from uprobes_sim.check.rules import INLINED, INLINED_UNKNOWN, UNDEFINED
from uprobes_sim.check.usdt import Tracepoint, read_tracepoints
from uprobes_sim.errors import ProbeError
from uprobes_sim.loader import Program
from uprobes_sim.probes import ProbeSpec
from uprobes_sim.probes import find_symbol as _find
from uprobes_sim.symbols import Symbol
from uprobes_sim.units import Offset

_WILD: Final = frozenset("*?[")


def is_wildcard(spec: ProbeSpec | None) -> bool:
    """Tell whether *spec* stands for several symbols."""
    return spec is not None and not _WILD.isdisjoint(spec.symbol or "")


def find_symbol(program: Program, spec: ProbeSpec, name: str) -> Symbol:
    """Find the one symbol *name*.

    Raises:
        ProbeError: there is none, it is imported, or there are several.
    """
    symbols = program.symbols.find(name)
    stub = _stub(program, name)
    if stub is not None:
        return stub
    if symbols and symbols[0].undefined:
        raise ProbeError(f"{spec.text}: {_imported(program, name)}", UNDEFINED.id)
    if not symbols:
        copies = copies_of(program, name, plain=True)
        if copies:
            raise ProbeError(
                f"{spec.text}: {program.path} has no symbol {name}, only copies of it in its "
                f"callers, at {few_of(copies)}",
                INLINED.id,
            )
        elsewhere = defining(program, name)
        if elsewhere is not None:
            raise ProbeError(
                f"{spec.text}: {program.path} has no symbol {name}, but {elsewhere}, which it "
                "needs, does: put the probe there",
                UNDEFINED.id,
            )
    try:
        return _find(spec, name, program)
    except ProbeError as error:
        why = "" if symbols else unread(program, name, plain=True)
        if not why:
            raise
        raise ProbeError(f"{error}; {why}", INLINED_UNKNOWN.id) from error


def _stub(program: Program, name: str) -> Symbol | None:
    """Find the stub `FUNCTION@plt`, as disassemblers write it."""
    function, _, suffix = name.partition("@")
    if suffix != "plt":
        return None
    stubs = (at for at, called in stub_names(program).items() if called == function)
    found = next(stubs, None)
    return None if found is None else Symbol(name, found, 0, 0, "STT_FUNC")


def _imported(program: Program, name: str) -> str:
    found = defining(program, name)
    if found is not None:
        return f"{program.path} imports {name}; {found} defines it: put the probe there"
    needed = ", ".join(read_dynamic(program).needed)
    where = f", none of which is here or has it: {needed}" if needed else ""
    return f"{program.path} imports {name} from a library{where}; put the probe into that"


def matching(program: Program, pattern: str) -> list[Symbol]:
    """List the functions that *pattern* names, each place once, as a uprobe_multi link takes them.

    Raises:
        ProbeError: there is none.
    """
    found = [
        symbol
        for symbol in program.symbols.symbols
        if symbol.kind == "STT_FUNC" and not symbol.undefined and fnmatchcase(symbol.name, pattern)
    ]
    if not found:
        raise ProbeError(f"{pattern}: {program.path} has no function with such a name")
    once = {(symbol.name, symbol.value): symbol for symbol in found}
    return [once[key] for key in sorted(once)]


def find_tracepoint(
    program: Program, text: str, provider: str | None, name: str
) -> Iterator[tuple[ProbeSpec, Offset | None]]:
    """Give the places of a tracepoint, or of many by wildcards, with their semaphores' offsets.

    Raises:
        ProbeError: there is no such tracepoint.
    """
    points = read_tracepoints(program)
    found = [
        each
        for each in points
        if fnmatchcase(each.name, name) and fnmatchcase(each.provider, provider or "*")
    ]
    if not found:
        raise ProbeError(f"{text}: {_no_tracepoint(program, points, name)}")
    head = text.partition(":")[0]
    for point in found:
        one = f"{head}:{program.path}:{point.provider}:{point.name}"
        asked = text if _WILD.isdisjoint(f"{provider}{name}") else one
        yield ProbeSpec(asked, vaddr=point.vaddr), _semaphore(program, point)


def _no_tracepoint(program: Program, points: list[Tracepoint], name: str) -> str:
    if not points:
        return f"{program.path} has no tracepoints (no notes of type stapsdt)"
    names = sorted({f"{each.provider}:{each.name}" for each in points})
    close = get_close_matches(name, [each.partition(":")[2] for each in names], 1)
    shown = [each for each in names if close and each.endswith(f":{close[0]}")] or names[:3]
    return f"{program.path} has no such tracepoint; it has {', '.join(shown)}"


def _semaphore(program: Program, point: Tracepoint) -> Offset | None:
    if point.semaphore is None:
        return None
    segment = program.segment_of(point.semaphore)
    return None if segment is None else Offset(point.semaphore - segment.vaddr + segment.offset)
