"""Which warnings a probe gets: one function for each rule that looks at the place alone."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from uprobes_sim.check import rules
from uprobes_sim.check.dynamic import defining, used
from uprobes_sim.check.plt import stub_names
from uprobes_sim.check.site import Site
from uprobes_sim.languages import NAME_LONGEST
from uprobes_sim.units import PAGE_SIZE
from uprobes_sim.verdict import Caution

_SURE: Final = 0.75
"""Confidence in a guess from which on it is believed."""
_STUBS: Final = (".plt", ".iplt", ".glink")
_STUB_SYMBOL: Final = re.compile(r"[0-9a-f]+\.plt_(call|branch)\.|__plt_")
_GO_SECTIONS: Final = (".go.buildinfo", ".note.go.buildid", ".gopclntab")
_SWITCHES: Final = frozenset(
    {
        "swapcontext",
        "setcontext",
        "makecontext",
        "jump_fcontext",
        "ontop_fcontext",
        "make_fcontext",
        "bthread_jump_fcontext",
        "coro_transfer",
        "pth_uctx_switch",
        "co_swap",
    }
)
_EXCEPTIONS: Final = frozenset(
    {"__cxa_throw", "__gxx_personality_v0", "rust_eh_personality", "__gnat_raise_exception"}
)
_NOT_OF_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")


def inside_insn(site: Site) -> Iterator[Caution]:
    """Warn where no instruction starts, as far as the file tells."""
    if not site.reading.is_code:
        return
    found = site.code.boundary(site.vaddr)
    percent = f"{found.confidence:.0%}"
    if found.starts:
        if found.confidence < 1:
            yield rules.UNSURE.caution(
                f"that an instruction starts here is a guess: confidence {percent} ({found.basis})"
            )
        return
    how = "" if found.confidence == 1 else f", confidence {percent}"
    distance = site.vaddr - found.insn_start
    if found.confidence >= _SURE:
        yield rules.INSIDE_INSN.caution(
            f"{distance} byte{'s' * (distance > 1)} into the instruction at "
            f"{found.insn_start:#x} ({found.basis}{how}), which a breakpoint makes another"
        )
    else:
        yield rules.UNSURE.caution(
            f"this may be inside the instruction at {found.insn_start:#x}{how} ({found.basis})"
        )


def not_code(site: Site) -> Iterator[Caution]:
    """Warn of places that are loaded, but not as code."""
    segment = site.reading.segment
    if segment is not None and not site.reading.is_code and not segment.writable:
        where = f" ({site.reading.section})" if site.reading.section else ""
        yield rules.NOT_CODE.caution(
            f"this is no code but constants{where}: the kernel accepts, and writes a breakpoint "
            "into what the program reads"
        )


def unmapped(site: Site) -> Iterator[Caution]:
    """Warn of places that nobody loads."""
    if site.reading.segment is None and site.reading.inner < len(site.program.data):
        yield rules.UNMAPPED.caution("no segment loads this part of the file: there are no hits")


def writable_segment(site: Site) -> Iterator[Caution]:
    """Warn of places into which the kernel puts no breakpoint."""
    segment = site.reading.segment
    if segment is not None and segment.writable:
        yield rules.WRITABLE_SEGMENT.caution(
            "the segment is writable: registering succeeds, nothing is installed, no hits"
        )


def other_reading(site: Site) -> Iterator[Caution]:
    """Warn where an address was probably meant as an offset, or the reverse."""
    other, spec = site.other, site.question.spec
    if other is None or spec is None or other.offset == site.reading.offset:
        return
    entry = site.code.function_at(other.vaddr or 0)
    meant = not site.reading.is_code or (
        entry is not None
        and entry.start == other.vaddr
        and (site.function is None or site.function.start != site.reading.vaddr)
    )
    if not meant:
        return
    if spec.offset is not None:
        yield rules.OTHER_READING.caution(
            f"taken for an address, {spec.offset:#x} is {other.label}: its offset is "
            f"{other.offset:#x}"
        )
    elif spec.vaddr is not None:
        yield rules.OTHER_READING.caution(
            f"taken for an offset, {spec.vaddr:#x} is {other.label}: its address is "
            f"{other.vaddr:#x}"
        )


def entries(site: Site) -> Iterator[Caution]:
    """Warn of the gap between two entry points of a function, and tell of descriptors."""
    function = site.function
    if function is None or function.symbol is None or site.reading.vaddr is None:
        return
    symbol, program = function.symbol, site.program
    first, last = (site.code.entry(symbol, want_global=wanted) for wanted in (True, False))
    if first <= site.vaddr < last:
        where = "the global entry" if site.vaddr == first else "between the two entries"
        yield rules.GLOBAL_ENTRY.caution(
            f"{where} of {symbol.name}: calls from the same file enter at {last:#x}"
        )
    described = program.symbols.section_at(symbol.value) == ".opd"
    if described and site.named is not None and site.named.value == symbol.value:
        yield rules.DESCRIPTOR.caution(
            f"{site.named.name} is a descriptor at {symbol.value:#x}; its code is at {first:#x}"
        )


def ifunc(site: Site) -> Iterator[Caution]:
    """Warn of resolvers."""
    symbol = site.named or (site.function.symbol if site.function else None)
    if symbol is not None and symbol.kind == "STT_GNU_IFUNC":
        yield rules.IFUNC.caution(
            f"{symbol.name} only chooses the implementation, once; callers do not come here"
        )


def plt(site: Site) -> Iterator[Caution]:
    """Warn of stubs."""
    section, name = site.reading.section or "", site.reading.symbol or ""
    if not section.startswith(_STUBS) and not _STUB_SYMBOL.match(name):
        return
    function = stub_names(site.program).get(site.vaddr)
    library = None if function is None else defining(site.program, function)
    called = "" if function is None else f" of {function}"
    where = f"in {library}" if library is not None else "in the library that defines it"
    yield rules.PLT.caution(
        f"a stub through which only this file's own calls{called} go; probe the function "
        f"itself, {where}"
    )


def inlined(site: Site) -> Iterator[Caution]:
    """Warn of copies that the probe does not see, or of DWARF that nobody asked for them."""
    if site.named is None or site.function is None:
        return
    from uprobes_sim.check.inlined import copies_of, few_of, unread

    copies = copies_of(site.program, site.named.name)
    if copies:
        yield rules.INLINED.caution(
            f"{site.named.name} is also copied into its callers, at {few_of(copies)}"
        )
    why = unread(site.program, site.named.name)
    if why:
        yield rules.INLINED_UNKNOWN.caution(why)


def return_inside(site: Site) -> Iterator[Caution]:
    """Warn of return probes that are no function's entry."""
    if not site.is_return or site.function is None or not site.reading.is_code:
        return
    starts = {site.function.start}
    if site.function.symbol is not None:
        starts.add(site.code.entry(site.function.symbol, want_global=False))
    if site.vaddr not in starts and site.vaddr not in stub_names(site.program):
        yield rules.RETURN_INSIDE.caution(
            f"a return probe {site.vaddr - site.function.start} bytes into a function: what it "
            "takes for the return address, and overwrites, may be anything"
        )


def return_start(site: Site) -> Iterator[Caution]:
    """Warn of return probes where the program starts."""
    if not site.is_return or not site.reading.is_code:
        return
    from uprobes_sim.check.start import is_start, overwrites_stack

    if not is_start(site.code, site.vaddr):
        return
    if overwrites_stack(site.code, site.config):
        yield rules.RETURN_START.caution(
            "the program starts here: there is no return address, and what is overwritten is argc"
        )
    else:
        yield rules.NO_CALLER.caution(
            "the program starts here: nobody has called it, and it never returns"
        )


def return_go(site: Site) -> Iterator[Caution]:
    """Warn of return probes in Go."""
    if site.is_return and _is_go(site):
        yield rules.RETURN_GO.caution(
            "this is a Go program: its runtime finds the trampoline's address when it moves or "
            "walks the stack, and ends with a fatal error"
        )


def _is_go(site: Site) -> bool:
    names = {section.name for section in site.program.symbols.sections}
    return not names.isdisjoint(_GO_SECTIONS) or b"\xff Go buildinf:" in site.program.data


def return_stack_switch(site: Site) -> Iterator[Caution]:
    """Warn of return probes where stacks are switched."""
    name = used(site.program, _SWITCHES) if site.is_return else None
    if name is not None:
        yield rules.RETURN_STACK_SWITCH.caution(
            f"the program switches stacks ({name}): a function that returns on another stack, "
            "or in another order, gets SIGILL or the wrong caller"
        )


def return_exceptions(site: Site) -> Iterator[Caution]:
    """Warn of return probes through which exceptions may pass."""
    if not site.is_return:
        return
    frame = site.code.frames.at(site.vaddr) if site.reading.vaddr is not None else None
    name = used(site.program, _EXCEPTIONS)
    if frame is not None and frame.handles:
        why = "the function has handlers or clean-ups for exceptions"
    elif name is not None:
        why = f"the program has exceptions ({name})"
    else:
        return
    yield rules.RETURN_EXCEPTIONS.caution(
        f"{why}: one that leaves this function meets the trampoline, and ends the program"
    )


def no_return(site: Site) -> Iterator[Caution]:
    """Warn of return probes on what never returns."""
    if not site.is_return or site.function is None:
        return
    from uprobes_sim.check.exits import exits_of

    kinds = {found.kind for found in exits_of(site.code, site.function)}
    if not kinds & {"return", "tail_call", "jump"}:
        yield rules.NO_RETURN.caution("the function has no return instruction and no tail call")


def archive(site: Site) -> Iterator[Caution]:
    """Warn of archives whose content cannot be mapped, or not be probed."""
    if site.base % PAGE_SIZE == 0:
        return
    count = site.code.count
    step = site.code.alignment
    none = f"; 0 of {count} functions can be probed" if site.base % step else ""
    yield rules.ARCHIVE.caution(
        f"the file starts at {site.base:#x} of its archive, which is no multiple of a page: no "
        f"loader maps it there{none}"
    )


def event_name(site: Site) -> Iterator[Caution]:
    """Warn of names that tools make of a long path."""
    path = _NOT_OF_NAMES.sub("_", str(site.program.path))
    name = f"p_{path}_{site.reading.offset:#x}"
    if len(name) > NAME_LONGEST:
        yield rules.EVENT_NAME.caution(
            f"bcc's name for this event in tracefs would have {len(name)} characters; the kernel "
            f"takes {NAME_LONGEST}"
        )


def semaphores(site: Site) -> Iterator[Caution]:
    """Warn of reference counters that do not count, or not alike."""
    from uprobes_sim.check.usdt import read_tracepoints

    here = [each for each in read_tracepoints(site.program) if each.vaddr == site.reading.vaddr]
    wanted = {each.semaphore for each in here}
    if len(wanted) > 1:
        shown = " and ".join("none" if each is None else hex(each) for each in wanted)
        yield rules.SEMAPHORE_DIFFERS.caution(
            f"the tracepoints of this place have different semaphores ({shown}): EINVAL for the "
            "second to be attached"
        )
    for semaphore in sorted(wanted - {None}, key=lambda each: each or 0):
        assert semaphore is not None
        segment = site.program.segment_of(semaphore)
        if segment is None or not segment.writable:
            yield rules.SEMAPHORE_UNREACHABLE.caution(
                f"the semaphore at {semaphore:#x} is in no writable segment: it stays 0, and the "
                "program passes the tracepoint by"
            )
        elif site.question.ref_ctr is None:
            offset = semaphore - segment.vaddr + segment.offset + site.base
            yield rules.SEMAPHORE.caution(
                f"guarded by a semaphore: give its offset, {offset:#x}, as reference counter"
            )


Concern = Callable[[Site], Iterator[Caution]]

CONCERNS: Final[tuple[Concern, ...]] = (
    inside_insn,
    not_code,
    unmapped,
    writable_segment,
    other_reading,
    entries,
    ifunc,
    plt,
    inlined,
    return_inside,
    return_start,
    return_go,
    return_stack_switch,
    return_exceptions,
    no_return,
    archive,
    event_name,
    semaphores,
)
QUICK: Final = tuple(rule for rule in CONCERNS if rule is not inlined)
"""Those that need no DWARF, which takes seconds to read."""
