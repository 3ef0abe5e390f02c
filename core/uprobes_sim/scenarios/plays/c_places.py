"""Files, mappings, and where breakpoints come to be (kernel-core.md 2.3 to 2.15)."""

from uprobes_sim.errors import KernelError
from uprobes_sim.log import Act
from uprobes_sim.memory import VmFlags
from uprobes_sim.scenarios.scenario import Outcome, scenario
from uprobes_sim.scenarios.stage import RX, TEXT, Stage
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE, Offset

ELSEWHERE = TEXT + 0x10_0000
SHARED = VmFlags.SHARED | VmFlags.MAYSHARE


@scenario(
    "late-mmap-accepts",
    title="A word that is refused, registered before anybody maps it",
    claim="a refused word is only refused while a mapping forces the analysis",
    source="live ppc64le 6.1 (powerpc-live 2), live x86 6.18 (x86 1.4)",
    expected="registration refuses it, mapped or not",
    outcomes={
        "3.5": "accepted; the mapping fails with ENOTSUPP",
        "3.7": "accepted; mapped, not armed; the second consumer: accepted",
        "3.9": "accepted; mapped, not armed; the second consumer: ENOTSUPP",
    },
    arches=("powerpc", "x86"),
)
def late_mmap_accepts(stage: Stage) -> Outcome:
    """Register on a trap of an unmapped file; map it; register again."""
    program = stage.file("probed: swbp; exit")
    first = stage.refused(program)
    task = stage.process()
    try:
        stage.map(task.mm, program)
    except KernelError as exc:
        failed = exc.errno.name
        return stage.outcome(
            f"{first}; the mapping fails with {failed}", stage.because(Act.REGISTER)
        )
    cause = stage.because(Act.SWALLOW)
    armed = "armed" if stage.count(Act.INSTALL) else "not armed"
    return stage.outcome(
        f"{first}; mapped, {armed}; the second consumer: {stage.refused(program)}", cause
    )


@scenario(
    "trap-beside-probe",
    title="A trap of the program, registered unmapped, beside a live probe",
    claim="executing the trap never returns and gives no signal and no hit",
    source="live ppc64le 6.1 (powerpc-live 1.2)",
    expected="SIGTRAP",
    outcomes={
        "3.5": "the mapping fails with ENOTSUPP",
        "3.7": "runs for ever, 0 hits of it; closing the event: SIGTRAP",
    },
    arches=("powerpc", "x86"),
)
def trap_beside_probe(stage: Stage) -> Outcome:
    """Register on a trap nobody maps, and on the word before it; map, run; unregister, run."""
    program = stage.file("other: nop; probed: swbp; exit")
    probe = stage.register(program)
    stage.register(program, "other", stage.consumer("other"))
    try:
        task = stage.process(program)
    except KernelError as exc:
        return stage.outcome(
            f"the mapping fails with {exc.errno.name}", stage.because(Act.REGISTER)
        )
    ended, hits = stage.run(task), stage.hits.count("probe")
    cause = stage.because(Act.RESTART, "never accepted")
    stage.unregister(probe)
    last = stage.run(task)
    return stage.outcome(
        f"{ended}, {hits} hits of it; closing the event: {last}",
        cause,
        stage.because(Act.SIGNAL, "SIGTRAP"),
    )


@scenario(
    "shared-mapping",
    title="A file that is mapped shared",
    claim="shared, any protection: never armed",
    source="live ppc64le 6.1 (powerpc-live 5)",
    expected="a probe of the file is a probe of its mappings",
    outcomes="private swbp, shared nop",
)
def shared_mapping(stage: Stage) -> Outcome:
    """Map a file twice, private and shared; register."""
    program = stage.file("probed: nop; exit")
    private, shared = stage.process(program), stage.process()
    stage.map(shared.mm, program, flags=RX | SHARED)
    stage.register(program)
    assert stage.count(Act.INSTALL) == 1
    return stage.outcome(
        f"private {stage.memory(private)}, shared {stage.memory(shared)}",
        stage.because(Act.INSTALL),
    )


@scenario(
    "writable-mapping",
    title="A mapping that was writable when the probe came",
    claim="with write: not armed by a later mprotect(r-x) either; a new registration arms it",
    source="live ppc64le 6.1 (powerpc-live 5), live x86 6.18 (x86 7)",
    expected="armed once it is executable only",
    outcomes={
        "3.5": "nop, after mprotect nop, after a second consumer nop",
        "3.9": "nop, after mprotect nop, after a second consumer swbp",
    },
)
def writable_mapping(stage: Stage) -> Outcome:
    """Map read-write, register, take the write away, register again."""
    program = stage.file("probed: nop; exit")
    task = stage.process()
    stage.map(task.mm, program, flags=RX | VmFlags.WRITE)
    stage.register(program)
    first = stage.memory(task)
    task.mm.mprotect(TEXT, PAGE_SIZE, VmFlags.READ | VmFlags.EXEC)
    second = stage.memory(task)
    stage.register(program)
    return stage.outcome(
        f"{first}, after mprotect {second}, after a second consumer {stage.memory(task)}",
        stage.because(Act.INSTALL) if stage.count(Act.INSTALL) else stage.because(Act.REGISTER),
    )


@scenario(
    "read-only-mapping",
    title="A mapping that nobody can execute yet",
    claim="PROT_READ alone, or none at all, is enough: it may be made executable",
    source="live ppc64le 6.1 (powerpc-live 5), live x86 6.18 (x86 1.3)",
    expected="only code is probed",
    outcomes={"3.5": "nop in r--, nop in ---", "3.8": "swbp in r--, swbp in ---"},
)
def read_only_mapping(stage: Stage) -> Outcome:
    """Map without the right to execute, and without any; register."""
    program = stage.file("probed: nop; exit")
    readable, sealed = stage.process(), stage.process()
    stage.map(readable.mm, program, flags=RX & ~VmFlags.EXEC)
    stage.map(sealed.mm, program, flags=RX & ~VmFlags.EXEC & ~VmFlags.READ)
    stage.register(program)
    return stage.outcome(
        f"{stage.memory(readable)} in r--, {stage.memory(sealed)} in ---",
        stage.because(Act.INSTALL) if stage.count(Act.INSTALL) else stage.because(Act.REGISTER),
    )


@scenario(
    "mapped-twice",
    title="A file that a process maps twice",
    claim="one mm can appear several times",
    source="kernel-core 2.4",
    expected="both mappings are armed, and both are restored",
    outcomes="armed swbp and swbp, afterwards nop and nop",
)
def mapped_twice(stage: Stage) -> Outcome:
    """Map twice, register, unregister."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.map(task.mm, program, at=ELSEWHERE)

    def both() -> str:
        second = task.mm.read(ELSEWHERE, len(stage.word("swbp")))
        name = "swbp" if second == stage.word("swbp") else "nop"
        return f"{stage.memory(task)} and {name}"

    probe = stage.register(program)
    armed = both()
    stage.unregister(probe)
    assert stage.count(Act.REMOVE) == 2
    return stage.outcome(f"armed {armed}, afterwards {both()}", stage.because(Act.REMOVE))


@scenario(
    "page-comes-back",
    title="What becomes of the private page",
    claim="closing restores the word; the last one on a page also gives the file's page back",
    source="live ppc64le 6.1 (powerpc-live 5); live x86 6.18: it stays (x86 1.7)",
    expected="the process shares the page with the file again",
    outcomes={
        "3.5": "nop, in a private page",
        "5.4": "nop, in the file's page",
        "6.16": "nop, in a private page",
    },
    arches=("powerpc", "x86"),
)
def page_comes_back(stage: Stage) -> Outcome:
    """Register, unregister, look at the page."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    stage.unregister(stage.register(program))
    word = stage.memory(task)
    page = task.mm.pgtable[TEXT >> PAGE_SHIFT]
    return stage.outcome(
        f"{word}, in {'a private' if page.anon else 'the file' + chr(39) + 's'} page",
        stage.because(Act.WRITE),
    )


@scenario(
    "end-of-file",
    title="A probe at the very end of a file",
    claim="offset == size: accepted when nobody maps it, EIO when someone does",
    source="live x86 6.18 (x86 1.2), kernel-core 2.1.3",
    expected="EINVAL, as behind the end",
    outcomes={
        "3.5": "unmapped accepted, mapped accepted, behind it EINVAL",
        "3.16": "unmapped accepted, mapped EIO, behind it EINVAL",
    },
    arches=("x86",),
)
def end_of_file(stage: Stage) -> Outcome:
    """Register at the size of the file, and one further."""
    program = stage.file("probed: nop; exit")
    program.data = program.data[:8]
    stage.place("end", 8)
    stage.place("behind", 9)
    unmapped = stage.refused(program, "end")
    other = stage.file("probed: nop; exit")
    other.data = other.data[:8]
    stage.place("end", 8)
    stage.place("behind", 9)
    stage.process(other)
    mapped = stage.refused(other, "end")
    causes = [stage.log[-1]]
    behind = stage.refused(other, "behind")
    return stage.outcome(
        f"unmapped {unmapped}, mapped {mapped}, behind it {behind}",
        *causes,
        stage.because(Act.REFUSE, "beyond the end"),
    )


@scenario(
    "negative-offset",
    title="A probe at a negative offset",
    claim="the test is signed, a negative offset passes it, and never fires",
    source="live x86 6.18 (x86 1.2), live ppc64le 6.1 (powerpc-live 2)",
    expected="EINVAL",
    outcomes="accepted, installed 0 times",
)
def negative_offset(stage: Stage) -> Outcome:
    """Register at -8."""
    program = stage.file("probed: nop; exit")
    stage.process(program)
    stage.up.uprobe_register(program, Offset(-8), stage.consumer())
    return stage.outcome(
        f"accepted, installed {stage.count(Act.INSTALL)} times", stage.because(Act.REGISTER)
    )


@scenario(
    "file-without-pages",
    title="A file that the kernel cannot read by pages",
    claim="procfs: EIO",
    source="live x86 6.18 (x86 1), kernel-core 2.1.2",
    expected="refused at registration",
    outcomes={"3.5": "unmapped accepted, mapped EIO", "3.16": "unmapped EIO, mapped EIO"},
)
def file_without_pages(stage: Stage) -> Outcome:
    """Register on a file of procfs, unmapped and mapped."""
    program = stage.file("probed: nop; exit")
    program.has_read_folio = False
    unmapped = stage.refused(program)
    other = stage.file("probed: nop; exit")
    stage.process(other)
    other.has_read_folio = False
    return stage.outcome(
        f"unmapped {unmapped}, mapped {stage.refused(other)}", stage.because(Act.REFUSE, "by pages")
    )


@scenario(
    "unmap-and-map-again",
    title="A mapping goes and comes back",
    claim="munmap + mmap, mremap, mprotect rwx: the probe stays or comes back",
    source="live x86 6.18 (x86 7)",
    expected="the probe is there again",
    outcomes="armed again, 2 hits",
)
def unmap_and_map_again(stage: Stage) -> Outcome:
    """Register, unmap, map, run; and a page that was made writable meanwhile."""
    program = stage.file("probed: nop; exit")
    task, other = stage.process(program), stage.process(program)
    stage.register(program)
    task.mm.munmap(TEXT, PAGE_SIZE)
    stage.map(task.mm, program)
    other.mm.mprotect(TEXT, PAGE_SIZE, VmFlags.READ | VmFlags.WRITE | VmFlags.EXEC)
    armed = stage.memory(task)
    stage.run(task)
    stage.run(other)
    return stage.outcome(
        f"{'armed' if armed == 'swbp' else 'not'} again, {len(stage.hits)} hits",
        stage.because(Act.INSTALL),
        stage.because(Act.HIT),
    )


@scenario(
    "program-writes-over-it",
    title="The program writes over the breakpoint",
    claim="written by the program while armed: the store replaces the trap; closing leaves it",
    source="live ppc64le 6.1 (powerpc-live 5)",
    expected="the probe survives",
    outcomes="exit 1, 0 hits; afterwards stepped",
)
def program_writes_over_it(stage: Stage) -> Outcome:
    """Make the page writable, store another word, run; unregister."""
    program = stage.file("probed: nop; nop; nop; exit")
    task, other = stage.process(program), stage.process(program)
    probe = stage.register(program)
    for each in (task, other):
        each.mm.mprotect(TEXT, PAGE_SIZE, VmFlags.READ | VmFlags.WRITE | VmFlags.EXEC)
        each.mm.write(stage.at("probed"), stage.word("stepped"))
    ended = stage.run(task)
    stage.unregister(probe)
    return stage.outcome(
        f"{ended}, {len(stage.hits)} hits; afterwards {stage.memory(other)}",
        stage.because(Act.INSTALL),
        stage.because(Act.UNREGISTER),
    )


@scenario(
    "leaking-probe",
    title="A breakpoint that cannot be taken away",
    claim="unregister can leave the probe object for ever ('leaking') if restoring failed",
    source="kernel-core 2.2",
    expected="unregister always works: it answers nothing",
    outcomes={"3.5": "the probe is gone", "3.8": "the probe stays for ever, without consumers"},
)
def leaking_probe(stage: Stage) -> Outcome:
    """Truncate the file under an armed probe, drop the page, unregister."""
    program = stage.file("probed: nop; exit")
    task = stage.process(program)
    probe = stage.register(program)
    task.mm.drop_private(TEXT)
    program.data = b""
    program.pages.clear()
    stage.unregister(probe)
    if stage.up.find_uprobe(program, stage.offset("probed")) is None:
        return stage.outcome("the probe is gone", stage.because(Act.WARN))
    return stage.outcome("the probe stays for ever, without consumers", stage.because(Act.LEAK))
