"""Known defects of Linux on x86, and the instructions that each concerns."""

from collections.abc import Callable
from typing import Final, NamedTuple

from uprobes_sim.errata import Erratum
from uprobes_sim_x86 import concerns
from uprobes_sim_x86.insn import Insn


class Row(NamedTuple):
    """An erratum, and the instructions for which a probe is warned of it."""

    erratum: Erratum
    concerns: Callable[[Insn], bool]


_LIVE: Final = "run: 6.18.44 on an AMD processor with AVX2, with and without a probe"
_AVX512: Final = "run: 6.18.44 on an Intel processor with AVX-512, with and without a probe"
_SWEPT: Final = f"{_LIVE}, 56,713 encodings"
_MEMORY: Final = "the first release from memory"
_UNKNOWN: Final = "nothing known"
_NO_TEST: Final = "two development trees have no test for VEX there (read)"

ROWS: Final = (
    Row(
        Erratum(
            id=concerns.AVX_AS_JUMP.id,
            since=(3, 16),
            until=None,
            instructions="VEX, EVEX and XOP with the opcode byte 70-7f, 90, e9 or eb: "
            "vpcmpeqb/w/d, vpor, vzeroupper, stores of vmovdqa/vmovdqu, vmovd/vmovq to a register, "
            "vpshufd, shifts by an immediate, vhaddps, vpbroadcastb/w, vpsubsw, vpgatherdd, kmovw, "
            "CMPccXADD",
            effect="taken for a jump or a no-op: the instruction is not executed, and with an "
            "immediate the program may jump by it",
            severity="damages",
            evidence=f"{_SWEPT}; vpor also on 6.1.192 in QEMU; EVEX (vpord) and kmovw: {_AVX512}; "
            f"CMPccXADD by reading; {_MEMORY}",
            upstream=_NO_TEST,
        ),
        concerns.AVX_AS_JUMP.concerns,
    ),
    Row(
        Erratum(
            id=concerns.AVX_AS_CALL.id,
            since=(3, 16),
            until=None,
            instructions="VEX and EVEX with the opcode byte e8: vpsubsb, CMPSXADD",
            effect="taken for a call: not executed, and an address is pushed on the stack",
            severity="damages",
            evidence=f"{_SWEPT}; EVEX: {_AVX512}; CMPSXADD by reading; {_MEMORY}",
            upstream=_NO_TEST,
        ),
        concerns.AVX_AS_CALL.concerns,
    ),
    Row(
        Erratum(
            id=concerns.AVX_AS_RETURN.id,
            since=(3, 5),
            until=None,
            instructions="VEX, EVEX and XOP with the opcode byte c2, c3, ca, cb or, in 32-bit "
            "tasks, ea: vcmpps/pd/ss/sd, vrcp28ps, vcmpph, vpminsw",
            effect="taken for a return: the program goes on in the slot, whose code ends 16 bytes "
            "further, and dies; memory relative to ip is read at a wrong address",
            severity="kills",
            evidence=f"{_SWEPT} (c2) and 32-bit tasks (c2, ea); vcmpph, EVEX (c2, ea): {_AVX512}; "
            f"the others by reading; {_MEMORY}",
            upstream=_NO_TEST,
        ),
        concerns.AVX_AS_RETURN.concerns,
    ),
    Row(
        Erratum(
            id=concerns.AVX_AS_FAR_CALL.id,
            since=(3, 5),
            until=None,
            config="a 32-bit task; others have the opcode refused",
            instructions="VEX, EVEX and XOP with the opcode byte 9a: vfmsub132ps/pd",
            effect="taken for a far call: the word on top of the stack is overwritten, ip is left "
            "in the slot",
            severity="kills",
            evidence=f"{_LIVE}; EVEX: {_AVX512}; {_MEMORY}",
            upstream=_NO_TEST,
        ),
        concerns.AVX_AS_FAR_CALL.concerns,
    ),
    Row(
        Erratum(
            id=concerns.AVX_AS_POPF.id,
            since=(3, 7),
            until=None,
            instructions="VEX and EVEX with the opcode byte 9d: vfnmadd132ss/sd",
            effect="taken for popf: TF stays set, SIGTRAP after every instruction; memory "
            "relative to ip is read at a wrong address",
            severity="kills",
            evidence=f"{_SWEPT}; EVEX: {_AVX512}; {_MEMORY}",
            upstream=_NO_TEST,
        ),
        concerns.AVX_AS_POPF.concerns,
    ),
    Row(
        Erratum(
            id=concerns.AVX_REFUSED.id,
            since=(3, 5),
            until=None,
            instructions="VEX, EVEX and XOP whose opcode byte is refused without them: vpxor, "
            "loads of vmovdqa/vmovdqu, vmovd/vmovq from a register, vpaddq, vptest, vperm2f128",
            effect="ENOTSUPP, although they could be stepped",
            severity="misses",
            evidence="run: 6.18.44, 283,563 encodings in tasks of both widths; the first release "
            "from memory",
            upstream=_NO_TEST,
        ),
        concerns.AVX_REFUSED.concerns,
    ),
    Row(
        Erratum(
            id=concerns.XCHG_R8.id,
            since=(3, 16),
            until=(6, 19),
            config="a 64-bit task",
            instructions="xchg of r8 and rax: 41 90, 49 90",
            effect="taken for a no-op: the registers are not exchanged",
            severity="damages",
            evidence=f"{_SWEPT}; both releases from memory",
            upstream="a recogniser of no-ops that both kinds of probes share replaces the test "
            "(read in a development tree)",
        ),
        concerns.XCHG_R8.concerns,
    ),
    Row(
        Erratum(
            id=concerns.PAUSE.id,
            since=(3, 16),
            until=None,
            instructions="pause: f3 90",
            effect="taken for a no-op: the processor does not pause, which no program can tell",
            severity="note",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.PAUSE.concerns,
    ),
    Row(
        Erratum(
            id=concerns.SIGILL_SKIPPED.id,
            since=(3, 16),
            until=None,
            config="a processor that lacks the instruction",
            instructions="REX2, EVEX, or ud2 and the letters xen or kvm, before an opcode byte "
            "that is emulated",
            effect="emulated where the program would get SIGILL",
            severity="note",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.SIGILL_SKIPPED.concerns,
    ),
    Row(
        Erratum(
            id=concerns.SYSCALL.id,
            since=(4, 1),
            until=None,
            config="a 64-bit task",
            instructions="syscall",
            effect="the instruction behind it is executed in the slot as well, so that a jump or "
            "return there goes astray; rcx tells of the slot, r11 of TF; signals wait; a child of "
            "fork starts in a page that it does not have",
            severity="kills",
            evidence=f"{_LIVE}; the first release, before which it is ENOTSUPP, from memory",
            upstream="the table that means to refuse it is not looked at (read)",
        ),
        concerns.SYSCALL.concerns,
    ),
    Row(
        Erratum(
            id=concerns.PUSHF.id,
            since=(3, 5),
            until=None,
            instructions="pushf",
            effect="TF of the step is pushed as well; a popf of that means a SIGTRAP after every "
            "instruction",
            severity="kills",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.PUSHF.concerns,
    ),
    Row(
        Erratum(
            id=concerns.RED_ZONE.id,
            since=(6, 18),
            until=None,
            config="a 64-bit task; the no-op does not cross a page",
            instructions="no-ops of five bytes, and what is taken for one, such as kmovw",
            effect="replaced by a call after the first hit: it overwrites 32 bytes below the "
            "stack pointer, which a leaf function may be using",
            severity="damages",
            evidence=_LIVE,
            upstream="a no-op of ten bytes that steps over the red zone is on its way (read)",
        ),
        concerns.RED_ZONE.concerns,
    ),
    Row(
        Erratum(
            id=concerns.FORK_OPTIMISED.id,
            since=(6, 18),
            until=None,
            config="a 64-bit task; the no-op does not cross a page",
            instructions="no-ops of five bytes, and what is taken for one, such as kmovw",
            effect="replaced by a call after the first hit: a child of fork inherits the call but "
            "not its target, and dies of SIGSEGV",
            severity="kills",
            evidence=_LIVE,
            upstream=_UNKNOWN,
        ),
        concerns.FORK_OPTIMISED.concerns,
    ),
    Row(
        Erratum(
            id=concerns.REP.id,
            since=(3, 5),
            until=None,
            instructions="movs, stos, lods, cmps and scas with rep",
            effect="each iteration is stepped and counts as a hit",
            severity="slow",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.REP.concerns,
    ),
    Row(
        Erratum(
            id=concerns.RIPREL_MISSED.id,
            since=(3, 5),
            until=None,
            config="a 64-bit task",
            instructions="memory relative to ip: cmovcc and setcc after f2 or f3; SSE opcodes that "
            "want 66, with 67 behind it",
            effect="the decoder sees no ModRM byte: the copy uses the address of the slot",
            severity="damages",
            evidence=f"{_SWEPT}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.RIPREL_MISSED.concerns,
    ),
    Row(
        Erratum(
            id=concerns.BRANCH16.id,
            since=(3, 5),
            until=None,
            config="an AMD processor, or a 32-bit task",
            instructions="loop, and call by register or memory, after 66",
            effect="the step leaves 16 bits of ip or of the return address, and the repair "
            "expects more",
            severity="kills",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.BRANCH16.concerns,
    ),
    Row(
        Erratum(
            id=concerns.TRAP_NR.id,
            since=(3, 5),
            until=None,
            instructions="any that is stepped and raises an exception",
            effect="a signal handler finds 0 as the number of the exception (REG_TRAPNO)",
            severity="note",
            evidence=f"{_SWEPT}; 12,856 of 13,903 that raised a signal; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.TRAP_NR.concerns,
    ),
    Row(
        Erratum(
            id=concerns.OWN_INT3.id,
            since=(3, 5),
            until=None,
            instructions="int3 of the program's own, in a process that has a probe",
            effect="its signal handler finds number and error code of the exception before it, "
            "or 0 (REG_TRAPNO, REG_ERR)",
            severity="note",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.OWN_INT3.concerns,
    ),
    Row(
        Erratum(
            id=concerns.TRAP_LIVELOCK.id,
            since=(3, 7),
            until=None,
            besides="trap",
            instructions="int3 in the file, registered while nobody maps it",
            effect="in a process with another live probe it never returns, signals or hits",
            severity="kills",
            evidence=f"{_LIVE}; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.TRAP_LIVELOCK.concerns,
    ),
    Row(
        Erratum(
            id=concerns.REX_B_LOST.id,
            since=(3, 5),
            until=None,
            config="a 64-bit task",
            instructions="memory relative to ip after a REX prefix with bit B, such as 49 8b 05",
            effect="unregistering writes the prefix without B; the instruction does the same, but "
            "is no longer the file's",
            severity="note",
            evidence=f"run: 6.18.44; {_MEMORY}",
            upstream=_UNKNOWN,
        ),
        concerns.REX_B_LOST.concerns,
    ),
    Row(
        Erratum(
            id=concerns.RETURN_SECCOMP.id,
            since=(6, 11),
            until=(6, 14),
            config="a 64-bit task under a seccomp filter that does not know system call 335",
            besides="return",
            bits=64,
            instructions="any with a return probe",
            effect="the trampoline makes a system call (uretprobe), which the filter of a "
            "container or service refuses: the function never returns, or the program is killed",
            severity="kills",
            evidence="read: systemd issue 34615, libseccomp issue 438; run: 6.18.44 is right; the "
            "last release from memory",
            upstream="repaired: seccomp lets the call pass (from memory)",
        ),
        concerns.RETURN_SECCOMP.concerns,
    ),
    Row(
        Erratum(
            id=concerns.WORD_NOP.id,
            since=(3, 16),
            until=(6, 1),
            instructions="the no-op 66 90",
            effect="ENOTSUPP, being taken for a 16-bit branch",
            severity="misses",
            evidence="read: commit 250bbd12c2fe; run: 6.1.192 in QEMU emulates it; the first "
            "release from memory",
            upstream="repaired in 6.3 (patch of 2022-12-01), and in the 6.1 stable tree",
        ),
        concerns.WORD_NOP.concerns,
    ),
)
