"""What scripts do to a kernel; each answers what it saw."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from live.stage import EXEC, READ, SHARED, TEXT, WRITE, Kernel
from uprobes_sim.scenarios.dialect import X86, assemble

Seen = Iterator[object]
Script = Callable[[Kernel], Seen]

SCRIPTS: Final[dict[str, Script]] = {}

AGAIN: Final = TEXT + 0x10_0000
COUNTERS: Final = TEXT + 0x20_0000
COUNTER: Final = 0x1000
INT3: Final = "cc"

_DIALECT: Final = replace(
    X86,
    words=X86.words
    | {
        "add": b"\x8d\x47\x01",  # lea 1(%rdi),%eax: stepped
        "more": b"\xff\xc0",  # inc %eax: stepped
        "zero": b"\x31\xc0",  # xor %eax,%eax
        "mark": b"\x49\x89\xe0",  # mov %rsp,%r8
        "back": b"\x4c\x89\xc4",  # mov %r8,%rsp, and a jump
        "fault": b"\x8b\x04\x25\x00\x00\x00\x00",  # mov 0,%eax
        "loop": b"\xff\xcf\x75\xfa",  # dec %edi; jnz to the two bytes before it
        "push": b"\x55",  # push %rbp: emulated
        "pop": b"\x5d",
    },
)


def code(source: str) -> bytes:
    return assemble(_DIALECT, source).data


def script(tell: Script) -> Script:
    SCRIPTS[tell.__name__] = tell
    return tell


@script
def a_stepped_instruction(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    yield probe.errno, p.call(TEXT, 5), p.peek(TEXT, 4), probe.hits()
    probe.close()
    yield p.peek(TEXT, 4), p.call(TEXT, 6)


@script
def an_emulated_instruction(k: Kernel) -> Seen:
    file, p = k.file(code("push; add; pop; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    yield probe.errno, p.call(TEXT, 5), p.peek(TEXT, 4), probe.hits()


@script
def two_consumers(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    one, two = k.probe(file, 0), k.probe(file, 0)
    yield p.call(TEXT), one.hits(), two.hits()
    one.close()
    yield p.call(TEXT), p.peek(TEXT, 1), two.hits()
    two.close()
    yield p.call(TEXT), p.peek(TEXT, 1)


@script
def the_private_page(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    before = p.has_own_page(TEXT)
    probe = k.probe(file, 0)
    during, _ = p.has_own_page(TEXT), p.call(TEXT)
    probe.close()
    yield before, during, p.has_own_page(TEXT)


@script
def a_late_mapping(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    probe = k.probe(file, 0)
    p.map(file, TEXT)
    yield p.peek(TEXT, 1), p.call(TEXT), probe.hits()


@script
def a_trap_mapped_late(k: Kernel) -> Seen:
    file, p = k.file(code("swbp; ret")), k.process()
    first = k.probe(file, 0)
    p.map(file, TEXT)
    second = k.probe(file, 0)
    yield first.errno, second.errno, p.peek(TEXT, 1), p.call(TEXT)


@script
def a_trap_that_is_mapped(k: Kernel) -> Seen:
    file, p = k.file(code("swbp; ret")), k.process()
    p.map(file, TEXT)
    yield k.probe(file, 0).errno, p.call(TEXT)


@script
def offsets_at_the_end(k: Kernel) -> Seen:
    file, p = k.file(code("ret")), k.process()
    for offset in (0x1FFF, 0x2000, 0x2001, -8):
        yield offset, k.probe(file, offset).errno
    p.map(file, TEXT, pgoff=1)
    for offset in (0x1FFF, 0x2001):
        yield offset, k.probe(file, offset).errno


@script
def an_instruction_across_pages(k: Kernel) -> Seen:
    file, p = k.file(bytes(0xFFE) + code("add; ret")[:2]), k.process()
    p.map(file, TEXT)
    yield k.probe(file, 0xFFE).errno, p.peek(TEXT + 0xFFE, 2)


@script
def instructions_that_are_refused(k: Kernel) -> Seen:
    p = k.process()
    for n, insn in enumerate(("cc", "f4", "f0ff00", "0f0b", "90", "cd80", "2e90", "c5f877")):
        file = k.file(bytes.fromhex(insn).ljust(16, b"\x90"))
        p.map(file, TEXT + 0x1000 * n)
        yield insn, k.probe(file, 0).errno


@script
def a_file_that_is_mapped_twice(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    p.map(file, AGAIN)
    probe = k.probe(file, 0)
    yield p.peek(TEXT, 1), p.peek(AGAIN, 1), p.call(TEXT), p.call(AGAIN), probe.hits()
    probe.close()
    yield p.peek(TEXT, 4), p.peek(AGAIN, 4)


@script
def a_shared_mapping(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT, flags=SHARED)
    probe = k.probe(file, 0)
    yield probe.errno, p.peek(TEXT, 1), p.call(TEXT), probe.hits()


@script
def a_mapping_that_was_writable(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT, READ | WRITE)
    probe = k.probe(file, 0)
    p.protect(TEXT, READ | EXEC)
    yield p.peek(TEXT, 1), p.call(TEXT), probe.hits()
    second = k.probe(file, 0)
    yield p.peek(TEXT, 1), p.call(TEXT), probe.hits(), second.hits()


@script
def a_mapping_made_executable_later(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT, READ)
    probe = k.probe(file, 0)
    yield (p.peek(TEXT, 1),)
    p.protect(TEXT, READ | EXEC)
    yield p.call(TEXT), probe.hits()


@script
def unmapped_and_mapped_again(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    p.unmap(TEXT)
    p.map(file, TEXT)
    yield p.peek(TEXT, 1), p.call(TEXT), probe.hits()


@script
def int3_before(k: Kernel) -> Seen:
    file, p = k.file(code("nop; add; ret")), k.process()
    p.map(file, TEXT)
    p.poke(TEXT, INT3)
    probe = k.probe(file, 0)
    yield probe.errno, p.call(TEXT), probe.hits()
    probe.close()
    yield p.peek(TEXT, 1), p.call(TEXT)


@script
def int3_after(k: Kernel) -> Seen:
    file, p = k.file(code("nop; add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    p.poke(TEXT, INT3)
    yield p.call(TEXT), probe.hits()
    probe.close()
    yield (p.peek(TEXT, 1),)


@script
def the_original_poked_over_a_probe(k: Kernel) -> Seen:
    file, p = k.file(code("nop; add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    p.poke(TEXT, "90")
    yield p.call(TEXT), probe.hits()
    second = k.probe(file, 0)
    yield p.peek(TEXT, 1), p.call(TEXT), probe.hits(), second.hits()


@script
def a_stale_int3_comes_back(k: Kernel) -> Seen:
    file, p = k.file(code("nop; add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    p.poke(TEXT, "c3")
    probe.close()
    yield (p.peek(TEXT, 1),)
    p.poke(TEXT, INT3)
    yield (p.call(TEXT),)


@script
def memory_that_differs_from_the_file(k: Kernel) -> Seen:
    file, p = k.file(code("zero; more; ret")), k.process()
    p.map(file, TEXT)
    p.poke(TEXT + 2, "9090")
    before = p.call(TEXT)
    probe = k.probe(file, 2)
    yield before, p.call(TEXT), probe.hits(), p.peek(TEXT, 6)
    probe.close()
    yield p.peek(TEXT, 6), p.call(TEXT)


@script
def a_filtered_process(k: Kernel) -> Seen:
    file, p, other = k.file(code("add; ret")), k.process(), k.process()
    p.map(file, TEXT)
    other.map(file, TEXT)
    probe = k.probe(file, 0, only=p)
    yield p.peek(TEXT, 1), other.peek(TEXT, 1), p.call(TEXT), other.call(TEXT), probe.hits()
    everybody = k.probe(file, 0)
    yield other.peek(TEXT, 1), other.call(TEXT), probe.hits(), everybody.hits()
    everybody.close()
    yield p.peek(TEXT, 1), other.peek(TEXT, 1)


@script
def int3_where_a_filter_says_no(k: Kernel) -> Seen:
    file, p, other = k.file(code("nop; add; ret")), k.process(), k.process()
    p.map(file, TEXT)
    other.map(file, TEXT)
    first, second = k.probe(file, 0, only=p), k.probe(file, 1, only=other)
    other.poke(TEXT, INT3)
    yield other.call(TEXT), other.peek(TEXT, 1), first.hits(), second.hits()


@script
def int3_under_a_probe_that_nobody_wanted(k: Kernel) -> Seen:
    """Nobody has copied the instruction, and unregistering writes what was not copied."""
    file, p, other = k.file(code("nop; add; ret")), k.process(), k.process()
    other.map(file, TEXT)
    live = k.probe(file, 1, only=other)
    other.poke(TEXT, INT3)
    probe = k.probe(file, 0, only=p)
    yield other.peek(TEXT, 4), probe.errno, live.hits()
    probe.close()
    yield (other.peek(TEXT, 4),)


@script
def a_trap_beside_a_probe(k: Kernel) -> Seen:
    file, p = k.file(code("nop; add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    p.poke(TEXT + 1, INT3)
    yield p.call(TEXT), probe.hits()


@script
def a_fork_under_everybodys_probe(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    yield p.fork(TEXT, 3), p.call(TEXT), probe.hits()


@script
def a_fork_of_the_only_one(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0, only=p)
    yield p.fork(TEXT, 3), p.call(TEXT), probe.hits(), p.peek(TEXT, 1)


@script
def a_return(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    probe, entry = k.probe(file, 0, returns=True), k.probe(file, 0)
    yield p.call(TEXT, 3), p.call(TEXT, 4), probe.hits(), entry.hits()
    probe.close()
    yield p.call(TEXT, 5), p.peek(TEXT, 1), entry.hits()


@script
def a_tail_call(k: Kernel) -> Seen:
    source = "first: push; pop; jump second; second: add; ret"
    file, p = k.file(code(source)), k.process()
    p.map(file, TEXT)
    one = k.probe(file, 0, returns=True)
    two = k.probe(file, assemble(_DIALECT, source).labels["second"], returns=True)
    yield p.call(TEXT, 3), one.hits(), two.hits()


@script
def a_longjmp_over_a_return(k: Kernel) -> Seen:
    source = "nop; mark; call inner; there: add; ret; inner: nop; back there"
    file, p = k.file(code(source)), k.process()
    p.map(file, TEXT)
    outer = k.probe(file, 0, returns=True)
    inner = k.probe(file, assemble(_DIALECT, source).labels["inner"], returns=True)
    yield p.call(TEXT, 3), p.call(TEXT, 4), outer.hits(), inner.hits()


@script
def a_recursion_of_seventy(k: Kernel) -> Seen:
    # push; dec %edi; jz +5; call start; pop; ret
    recursive = bytes.fromhex("55ffcf7405e8f6ffffff5dc3")
    file, p = k.file(recursive), k.process()
    p.map(file, TEXT)
    probe, entry = k.probe(file, 0, returns=True), k.probe(file, 0)
    p.call(TEXT, 70)
    yield probe.hits(), entry.hits()


@script
def a_function_that_reads_its_return_address(k: Kernel) -> Seen:
    file, p = k.file(bytes.fromhex("90488b0424c3")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0, returns=True)
    yield p.call(TEXT), probe.hits()


@script
def a_fault_in_the_slot(k: Kernel) -> Seen:
    file, p = k.file(code("fault; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0)
    yield p.call(TEXT), probe.hits()


@script
def signals_during_steps(k: Kernel) -> Seen:
    file, p = k.file(code("zero; more; loop; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 2)
    p.alarms(500)
    yield p.call(TEXT, 5000), probe.hits()
    p.alarms(0)


@script
def a_probe_inside_an_instruction(k: Kernel) -> Seen:
    file, p = k.file(bytes.fromhex("b844332211c3")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 2)
    yield probe.errno, p.call(TEXT), probe.hits()


# --- semaphores -------------------------------------------------------------------


@script
def a_semaphore(k: Kernel) -> Seen:
    file, p = k.file(code("nop; add; ret")), k.process()
    p.map(file, TEXT)
    p.map(file, COUNTERS, READ | WRITE, pgoff=1)
    probes = [k.probe(file, 0, counter=COUNTER), k.probe(file, 0, counter=COUNTER)]
    yield (p.peek(COUNTERS, 2),)
    probes.append(k.probe(file, 1, counter=COUNTER))
    yield (p.peek(COUNTERS, 2),)
    for probe in probes:
        probe.close()
        yield (p.peek(COUNTERS, 2),)


@script
def a_semaphore_that_is_mapped_late(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    probe = k.probe(file, 0, counter=COUNTER)
    p.map(file, COUNTERS, READ | WRITE, pgoff=1)
    yield (p.peek(COUNTERS, 2),)
    probe.close()
    yield (p.peek(COUNTERS, 2),)


@script
def semaphores_that_are_refused(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    first = k.probe(file, 0, counter=COUNTER)
    yield first.errno, k.probe(file, 0, counter=COUNTER + 2).errno, k.probe(file, 0).errno
    yield (k.probe(file, 3, counter=COUNTER + 1).errno,)


@script
def a_semaphore_and_unmapped_code(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    p.map(file, COUNTERS, READ | WRITE, pgoff=1)
    probe = k.probe(file, 0, counter=COUNTER)
    p.unmap(TEXT)
    yield (p.peek(COUNTERS, 2),)
    p.map(file, TEXT)
    yield (p.peek(COUNTERS, 2),)
    probe.close()
    yield (p.peek(COUNTERS, 2),)


@script
def a_semaphore_that_would_wrap(k: Kernel) -> Seen:
    file, p = k.file(code("add; ret")), k.process()
    p.map(file, TEXT)
    p.map(file, COUNTERS, READ | WRITE, pgoff=1)
    p.poke(COUNTERS, "f0ff")
    yield k.probe(file, 0, counter=COUNTER).errno, p.peek(TEXT, 1), p.peek(COUNTERS, 2)
