"""Known defects of Linux on powerpc, and the instructions that each concerns."""

from collections.abc import Callable
from typing import Final, NamedTuple

from uprobes_sim.errata import Erratum
from uprobes_sim_powerpc import concerns
from uprobes_sim_powerpc.concerns import Probed
from uprobes_sim_powerpc.defects import (
    BCCTR_DECREMENT,
    INVALID_PAIR,
    INVALID_UPDATE,
    LONE_ELEMENT,
    LOST_BCTAR,
    LOST_NONVOLATILE,
    LOW_BITS,
    PREFIXED_QUAD,
    VECTOR_LENGTH,
)


class Row(NamedTuple):
    """An erratum, and the instructions for which a probe is warned of it."""

    erratum: Erratum
    concerns: Callable[[Probed], bool]


_LIVE: Final = "run: Debian's 6.1.176, ppc64le, in QEMU 7.2 as POWER8, POWER9 and POWER10"
_STILL: Final = f"{_LIVE}; and 6.12.107 as POWER10"
_COMPARED: Final = "run: sstep.c of 6.1.192 and 6.12.117 as a user program beside QEMU 7.2"
_READ: Final = "read: arch/powerpc/lib/sstep.c and kernel/uprobes.c of 6.1.192 and 6.12.117"
_COMMIT: Final = "read: the commit's message"
_UNKNOWN: Final = "nothing known"
_RADIX: Final = ("power9", "power10")

ROWS: Final = (
    Row(
        Erratum(
            id=LOST_NONVOLATILE,
            since=(6, 1),
            until=(6, 2),
            config="CONFIG_INTERRUPT_SANITIZE_REGISTERS not set, on a 64-bit kernel",
            requires="CONFIG_INTERRUPT_SANITIZE_REGISTERS=n",
            instructions="emulated ones that write a GPR from r14 to r31",
            effect="the register keeps its old value, unless a signal arrives at the same time",
            severity="damages",
            evidence=f"{_LIVE}; 6.12.107 is right; releases before 6.1 were not tried",
            upstream="went with CONFIG_INTERRUPT_SANITIZE_REGISTERS, on by default (inferred)",
        ),
        concerns.writes_nonvolatile,
    ),
    Row(
        Erratum(
            id=LOST_BCTAR,
            since=(3, 7),
            until=None,
            instructions="bctar, bctarl, rfebb",
            effect="the branch is lost: the program goes on behind the probe; "
            "bctarl leaves an address of the out-of-line page in LR",
            severity="damages",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.lost_branch,
    ),
    Row(
        Erratum(
            id=VECTOR_LENGTH,
            since=(4, 14),
            until=None,
            cpus=_RADIX,
            instructions="lxvl, lxvll, stxvl, stxvll",
            effect="the length is taken from the low byte of RB, not from the high one, "
            "so that a correct one moves nothing; lxvll and stxvll take the byte order of the task",
            severity="damages",
            evidence=f"{_STILL}; {_COMPARED}; the first release from memory",
            upstream=_UNKNOWN,
        ),
        concerns.named("lxvl", "lxvll", "stxvl", "stxvll"),
    ),
    Row(
        Erratum(
            id=PREFIXED_QUAD,
            since=(5, 8),
            until=None,
            config="hash MMU: with radix, KUAP keeps these instructions from being emulated",
            cpus=("power10",),
            instructions="plq, pstq in little-endian",
            effect="the two registers change places",
            severity="damages",
            evidence=_COMPARED,
            upstream=_UNKNOWN,
        ),
        concerns.emulated_pair,
    ),
    Row(
        Erratum(
            id="powerpc.reservation",
            since=(3, 7),
            until=None,
            instructions="load-reserve, store-conditional, and whatever stands between them",
            effect="the probe takes the reservation, so the store-conditional fails every time "
            "and a loop that retries it never ends",
            severity="kills",
            evidence=_STILL,
            upstream="known: kprobes documentation and bpftrace warn of it (from memory)",
        ),
        concerns.of_class("LARX", "STCX"),
    ),
    Row(
        Erratum(
            id="powerpc.kuap_warning",
            since=(5, 2),
            until=(6, 12),
            config="CONFIG_PPC_KUAP and the radix MMU",
            requires="CONFIG_PPC_KUAP=y",
            cpus=_RADIX,
            instructions="lq, stq, plq, pstq, load-reserve, dcbst, dcbf, icbi",
            effect="the attempt to emulate it logs a kernel warning, 'Bug: Read fault blocked by "
            "KUAP!'; then it is stepped out of line, with the right result",
            severity="note",
            evidence=f"{_LIVE}; 6.12.107 logs nothing; the first release from memory",
            upstream=_UNKNOWN,
        ),
        concerns.blocked,
    ),
    Row(
        Erratum(
            id="powerpc.xol_signal",
            since=(6, 1),
            until=None,
            config="64-bit; with the radix MMU the signal itself changes",
            instructions="illegal ones",
            effect="SIGILL becomes SIGSEGV (radix), and si_addr lies in the out-of-line page",
            severity="note",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.illegal,
    ),
    Row(
        Erratum(
            id="powerpc.completed_spr",
            since=(6, 1),
            until=None,
            config="radix MMU",
            cpus=_RADIX,
            instructions="mfspr of PVR; mfspr and mtspr of DSCR (3)",
            effect="the kernel, which completes them after a trap, cannot read the copy: SIGSEGV",
            severity="kills",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.completed_by_kernel,
    ),
    Row(
        Erratum(
            id="powerpc.hashchk_hang",
            since=(6, 1),
            until=None,
            cpus=("power10",),
            instructions="hashchk",
            effect="a check that fails hangs where it should raise SIGTRAP",
            severity="kills",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.hashchk,
    ),
    Row(
        Erratum(
            id="powerpc.syscall_emulated",
            since=(3, 7),
            until=(5, 19),
            instructions="sc, scv",
            effect="the probe is accepted, and the task's state is confused: no trace interrupt "
            "follows a system call",
            severity="damages",
            evidence=_COMMIT,
            upstream="a553476c44fb: refused since 5.19",
        ),
        concerns.of_class("SYSCALL"),
    ),
    Row(
        Erratum(
            id="powerpc.relative_slot",
            since=(5, 8),
            until=None,
            cpus=("power10",),
            instructions="prefixed loads and stores relative to the instruction (R=1)",
            effect="one whose emulation faults is stepped out of line, where it reaches for "
            "another address",
            severity="note",
            evidence=_READ,
            upstream=_UNKNOWN,
        ),
        concerns.relative_access,
    ),
    Row(
        Erratum(
            id="powerpc.suffix",
            since=(5, 8),
            until=None,
            cpus=("power10",),
            instructions="the second word of a prefixed instruction",
            effect="the probe is accepted and never hits; the trap word becomes the suffix: "
            "SIGILL at the prefix, as a rule",
            severity="kills",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.suffix,
    ),
    Row(
        Erratum(
            id=INVALID_UPDATE,
            since=(3, 7),
            until=None,
            instructions="loads and stores with update where RA is 0, or RT of a load",
            effect="the invalid form is emulated, with a made-up result, where it is illegal",
            severity="note",
            evidence=f"{_COMPARED}; {_STILL}",
            upstream="bbda4b6c7d7c (5.12) meant to refuse it; its check never fires",
        ),
        concerns.invalid_update,
    ),
    Row(
        Erratum(
            id="powerpc.invalid_quad",
            since=(5, 8),
            until=None,
            config="hash MMU",
            cpus=("power10",),
            instructions="plq, pstq with an odd register, or RT equal to RA",
            effect="the invalid form is emulated; RT=31 overwrites the saved NIP",
            severity="damages",
            evidence=_COMPARED,
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id=INVALID_PAIR,
            since=(3, 7),
            until=None,
            instructions="lfdpx, stfdp, stfdpx with an odd register",
            effect="the invalid form is emulated, where it is illegal: both halves go to, or come "
            "from, the one register",
            severity="note",
            evidence=f"{_COMPARED}; which half remains from memory",
            upstream=_UNKNOWN,
        ),
        concerns.invalid("lfdpx", "stfdp", "stfdpx"),
    ),
    Row(
        Erratum(
            id=BCCTR_DECREMENT,
            since=(3, 7),
            until=None,
            instructions="bcctr[l] with a BO that decrements CTR, an invalid form",
            effect="it branches to the old CTR and decrements it",
            severity="note",
            evidence=_COMPARED,
            upstream=_UNKNOWN,
        ),
        concerns.invalid("bcctr[l]"),
    ),
    Row(
        Erratum(
            id=LONE_ELEMENT,
            since=(4, 14),
            until=None,
            instructions="lvebx, lvehx, lvewx",
            effect="the rest of the register, architecturally undefined, becomes zero",
            severity="note",
            evidence=f"{_STILL}; {_COMPARED}; the first release from memory",
            upstream=_UNKNOWN,
        ),
        concerns.named("lvebx", "lvehx", "lvewx"),
    ),
    Row(
        Erratum(
            id=LOW_BITS,
            since=(3, 7),
            until=None,
            instructions="bclr[l], bcctr[l]",
            effect="the saved NIP keeps the low two bits of LR or CTR, which the processor drops "
            "on the way back",
            severity="note",
            evidence=f"{_COMPARED}; a live program does not notice",
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.wide_ctr",
            since=(3, 7),
            until=None,
            config="a 32-bit task on a 64-bit kernel",
            instructions="branches that decrement CTR",
            effect="all 64 bits of CTR are tested, where the low 32 decide",
            severity="note",
            evidence=_COMPARED,
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.trap_livelock",
            since=(6, 1),
            until=None,
            besides="trap",
            instructions="a trap in the file, registered while nobody maps it",
            effect="in a process with another live probe it never returns, signals or hits",
            severity="kills",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.trap_siginfo",
            since=(6, 1),
            until=None,
            instructions="traps of the program's own, in a process that has or had a probe",
            effect="si_code is SI_KERNEL and si_addr 0, where they are TRAP_BRKPT and the address",
            severity="note",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.ptrace_step",
            since=(6, 1),
            until=None,
            instructions="any, under a debugger's single step",
            effect="the step is lost where a copy is stepped out of line; over an emulated "
            "instruction one step executes two",
            severity="note",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.retval_negated",
            since=(6, 1),
            until=None,
            besides="return",
            instructions="any with a return probe that fetches $retval",
            effect="the value is negated when CR0.SO is set at the return; %gpr3 is right",
            severity="note",
            evidence=_STILL,
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.tracefs_file_offset",
            since=(6, 1),
            until=(6, 12),
            instructions="any with a tracefs probe that fetches @+OFF",
            effect="twice the offset is read",
            severity="note",
            evidence=f"{_LIVE}; 6.12.107 is right",
            upstream=_UNKNOWN,
        ),
        concerns.no_instruction,
    ),
    Row(
        Erratum(
            id="powerpc.mullw",
            since=(3, 7),
            until=(4, 13),
            instructions="mullw",
            effect="the product is unsigned and cut to 32 bits, where it is signed and has 64",
            severity="damages",
            evidence=_COMMIT,
            upstream="1575fe06f6b1 powerpc/sstep: Fix emulation of mullw (title from memory)",
        ),
        concerns.named("mullw[o][.]"),
    ),
    Row(
        Erratum(
            id="powerpc.stmw_update",
            since=(3, 7),
            until=(3, 13),
            instructions="stmw",
            effect="RA is overwritten, as if it were an update form",
            severity="damages",
            evidence=_COMMIT,
            upstream="17e8de7e1878",
        ),
        concerns.named("stmw"),
    ),
    Row(
        Erratum(
            id="powerpc.prefixed_line",
            since=(5, 8),
            until=(5, 13),
            cpus=("power10",),
            instructions="prefixed ones that cross a 64-byte boundary",
            effect="the probe is accepted, though such an instruction is not executed anywhere",
            severity="note",
            evidence=_COMMIT,
            upstream="d943bc742a6a: refused since 5.13",
        ),
        concerns.no_instruction,
    ),
)
"""Every known defect; what acts here is in `defects.py`, the rest is told."""
