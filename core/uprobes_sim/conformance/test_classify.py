"""What may be probed: traps are known, refusals say why, and copies fit."""

from collections.abc import Iterator
from random import Random

from uprobes_sim.conformance.bench import CODE, RX, Bench, Case
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.cpu import Stop
from uprobes_sim.errno import Errno
from uprobes_sim.errors import EngineError, Refused
from uprobes_sim.linker import Linked
from uprobes_sim.machine import Machine
from uprobes_sim.memory import Mm
from uprobes_sim.page_cache import Inode
from uprobes_sim.session import Options, configure
from uprobes_sim.units import PAGE_SIZE, Offset, Vaddr
from uprobes_sim.uprobes import HandlerResult, UprobeConsumer

DRAWS = 6


def drawn(suite: Suite, linked: Linked) -> Iterator[tuple[Bench, Case]]:
    """A few cases of every row."""
    bench = suite.bench(linked)
    for cases in suite.drawn(linked, DRAWS):
        for case in cases:
            yield bench, case


def executed(suite: Suite, linked: Linked) -> Iterator[tuple[Case, bool]]:
    """The same, and whether each has trapped on the engine."""
    bench = suite.bench(linked)
    for cases in suite.drawn(linked, DRAWS):
        bench.lay(cases)
        for case in cases:
            try:
                yield case, bench.bare(case).trapped
            except EngineError:
                continue


def padded(linked: Linked, insn: bytes) -> bytes:
    """What the kernel copies of an instruction."""
    return insn.ljust(linked.info.max_insn_bytes, b"\0")


def test_the_breakpoint_is_a_breakpoint_and_a_trap(linked: Linked) -> None:
    """Or a probe could be set on top of a probe."""
    insn, abi = linked.info.swbp_insn, linked.info.abi

    assert linked.hook.is_swbp_insn(insn=insn, abi=abi)
    assert linked.hook.is_trap_insn(insn=insn, abi=abi)


def test_the_breakpoint_traps_and_its_address_is_found(suite: Suite, linked: Linked) -> None:
    bench = suite.bench(linked)
    bench.lay([])
    regs = linked.hook.arch_regs(abi=linked.info.abi, config=bench.config)
    regs.ip = Vaddr(CODE)

    found = bench.machine.cpu.step(regs, bench.code_mm)

    assert found.stop is Stop.BREAKPOINT, f"{linked.info.swbp_insn.hex()} does not trap"
    assert found.info is not None, "the breakpoint has no signal"
    assert linked.hook.uprobe_get_swbp_addr(regs=regs) == CODE


def test_a_breakpoint_in_the_file_is_refused(suite: Suite, linked: Linked) -> None:
    bench = suite.bench(linked)

    refusal = bench.refusal_of(padded(linked, linked.info.swbp_insn), Vaddr(CODE))

    assert refusal is not None
    assert refusal.errno is Errno.ENOTSUPP


def test_every_instruction_that_traps_is_known_to_trap(suite: Suite, linked: Linked) -> None:
    """Or a probe is set on it, and takes the program's own trap for its breakpoint."""
    size = linked.info.swbp_size
    missed = [insn for insn in suite.bench(linked).samples.traps if not is_trap(linked, insn)]
    for case, trapped in executed(suite, linked):
        if trapped and not is_trap(linked, case.sample.insn):
            missed.append(case.sample.insn)

    names = ", ".join(sorted({insn[:size].hex() for insn in missed})[:3])
    assert not missed, f"{names}: these trap, and is_trap_insn denies it"


def is_trap(linked: Linked, insn: bytes) -> bool:
    """Ask the backend."""
    size = linked.info.opcode_size
    return linked.hook.is_trap_insn(insn=insn.ljust(size, b"\0")[:size], abi=linked.info.abi)


def test_nothing_is_called_a_trap_that_never_traps(suite: Suite, linked: Linked) -> None:
    """Or probes are refused for no reason."""
    samples = suite.bench(linked).samples
    traps = {samples.find(insn) or "" for insn in (linked.info.swbp_insn, *samples.traps)}
    claimed, fired = set[str](), set[str]()
    for case, trapped in executed(suite, linked):
        if is_trap(linked, case.sample.insn):
            claimed.add(case.row)
            if trapped:
                fired.add(case.row)

    never = sorted(claimed - fired - traps)
    assert not never, f"is_trap_insn takes these for traps, and none traps: {', '.join(never)}"


def test_a_trap_is_refused(suite: Suite, linked: Linked) -> None:
    for bench, case in drawn(suite, linked):
        if is_trap(linked, case.sample.insn):
            refusal = bench.refusal(case)
            assert refusal is not None, f"{bench.describe(case)} is a trap, and is accepted"
            assert refusal.errno is Errno.ENOTSUPP, f"{bench.describe(case)}: {refusal}"


def test_a_refusal_says_why(suite: Suite, linked: Linked) -> None:
    """With the errno of the kernel, a rule with the name of the backend, and a reason."""
    random = Random(f"{suite.choice.seed} refusals")
    bench = suite.bench(linked)
    size = linked.info.max_insn_bytes
    insns = [case.sample.insn for _, case in drawn(suite, linked)]
    insns += [random.randbytes(size) for _ in range(suite.choice.some(1000))]
    for insn in insns:
        refusal = bench.refusal_of(padded(linked, insn), Vaddr(CODE))
        if refusal is None:
            continue
        said = f"{insn.hex()}: {refusal}"
        assert isinstance(refusal, Refused), f"{said}, without a rule"
        assert isinstance(refusal.errno, Errno), f"{said}, with {refusal.errno!r}"
        assert refusal.rule.startswith(f"{linked.info.name}."), f"{said}, by {refusal.rule}"
        assert refusal.reason, f"{said}, without a reason"
        assert "\n" not in refusal.reason, f"{said}, in several lines"


def test_something_can_be_probed_at_all(suite: Suite, linked: Linked) -> None:
    samples = suite.bench(linked).samples
    if not samples.rows:
        return
    assert any(bench.refusal(case) is None for bench, case in drawn(suite, linked))


def test_a_misaligned_probe_is_an_invalid_one(suite: Suite, linked: Linked) -> None:
    """EINVAL, whoever notices."""
    info = linked.info
    bench = suite.bench(linked)
    insns = [padded(linked, case.sample.insn) for _, case in drawn(suite, linked)]
    fine = [insn for insn in insns if bench.refusal_of(insn, Vaddr(CODE)) is None][:16]
    for insn in fine:
        for off in range(1, info.swbp_size):
            refusal = bench.refusal_of(insn, Vaddr(CODE + off))
            assert refusal is None or refusal.errno is Errno.EINVAL, f"at +{off}: {refusal}"


def test_the_copy_fits_into_its_slot(suite: Suite, linked: Linked) -> None:
    """Or it runs over the next one, which another thread may be executing."""
    info = linked.info
    for bench, case in drawn(suite, linked):
        if bench.refusal(case) is None:
            auprobe = bench.analyze(case)
            code = linked.hook.arch_uprobe_copy_ixol(auprobe=auprobe, vaddr=Vaddr(0x1000))
            size, room = len(code), info.xol_slot_bytes
            assert 0 < size <= room, f"{bench.describe(case)}: {size} bytes for a slot of {room}"


def test_a_removed_probe_leaves_the_original(suite: Suite, linked: Linked) -> None:
    """And an installed one is a breakpoint, whole, where it was asked for."""
    size = linked.info.swbp_size
    for bench, case in drawn(suite, linked):
        if bench.refusal(case) is not None:
            continue
        during, after = installed_and_removed(linked, case.sample.insn)
        text = case.sample.insn[:size].hex()
        assert linked.hook.is_swbp_insn(insn=during, abi=linked.info.abi), f"{text}: no breakpoint"
        assert after.startswith(case.sample.insn), f"{text}: {after.hex()} is left"


def installed_and_removed(linked: Linked, insn: bytes) -> tuple[bytes, bytes]:
    """Put a probe on *insn* and take it away; answer memory in between and after."""
    machine = Machine(linked, configure(linked, Options(errata="none")))
    mm = machine.new_mm()
    inode = Inode(1, "code", insn.ljust(PAGE_SIZE, b"\0"))
    mm.mmap(CODE, PAGE_SIZE, RX, inode=inode)
    consumer = UprobeConsumer(handler=lambda task: HandlerResult.KEEP)
    uprobe = machine.uprobes.uprobe_register(inode, Offset(0), consumer)
    during = look(mm, linked.info.swbp_size)
    machine.uprobes.uprobe_unregister(uprobe, consumer)
    return during, look(mm, len(insn))


def look(mm: Mm, size: int) -> bytes:
    """Read code as a debugger does."""
    return mm.read(CODE, size, force=True)
