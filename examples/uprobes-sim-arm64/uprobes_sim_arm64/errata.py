"""Known defects of Linux on arm64, and the instructions that each concerns."""

from typing import Final, NamedTuple

from uprobes_sim.errata import Erratum

SIMD_LITERAL: Final = "arm64.simd_literal"
AUTH_BRANCH: Final = "arm64.auth_branch"
LDR_LITERAL: Final = "arm64.ldr_literal"
FAULT_CODE: Final = "arm64.fault_code"
EXCLUSIVE_SEQUENCE: Final = "arm64.exclusive_sequence"


class Defect(NamedTuple):
    """An erratum, and the names of the rows that it concerns."""

    erratum: Erratum
    rows: frozenset[str] | None
    """None: all that are stepped. None of them: it depends on the instructions around."""

    def concerns(self, row: str, *, simulated: bool) -> bool:
        """Tell whether it concerns an accepted instruction."""
        return not simulated if self.rows is None else row in self.rows


_READ: Final = "read: arch/arm64/kernel/probes/decode-insn.c"

DEFECTS: Final = (
    Defect(
        Erratum(
            id=SIMD_LITERAL,
            since=(4, 10),
            until=None,
            instructions="ldr of a vector register from a literal",
            effect="stepped like any other load: it loads from near the slot, or the program dies",
            severity="damages",
            evidence=f"{_READ}, aarch64_insn_uses_literal knows the general registers only",
            upstream="nothing known",
        ),
        frozenset({"ldr literal simd"}),
    ),
    Defect(
        Erratum(
            id=AUTH_BRANCH,
            since=(4, 10),
            until=(5, 10),
            instructions="braa, blraa, retaa and their kin",
            effect="stepped like no branch: the program goes on with the next instruction",
            severity="damages",
            evidence=f"{_READ}, aarch64_insn_is_branch of older trees (the release from memory)",
            upstream="refused since 5.10",
        ),
        frozenset({"retaa", "braa", "blraa"}),
    ),
    Defect(
        Erratum(
            id=LDR_LITERAL,
            since=(4, 10),
            until=(6, 12),
            instructions="ldr and ldrsw from a literal",
            effect="the kernel loads it without care for faults: where the page is not there, or "
            "the processor keeps the kernel from user memory (PAN), the kernel oopses",
            severity="kills",
            evidence=f"{_READ}, and simulate-insn.c",
            upstream="acc450aa0709 refuses them; in stable releases too (CVE-2024-50099)",
        ),
        frozenset({"ldr literal", "ldrsw literal"}),
    ),
    Defect(
        Erratum(
            id=FAULT_CODE,
            since=(4, 10),
            until=None,
            instructions="all that are stepped",
            effect="the mark of the step stays in thread.fault_code: signal frames tell of an "
            "exception that there was not, with an ESR of 0xffffffff",
            severity="note",
            evidence="read: arch/arm64/kernel/probes/uprobes.c, arch_uprobe_post_xol, and "
            "arch/arm64/kernel/signal.c, setup_sigframe_layout",
            upstream="nothing known",
        ),
        None,
    ),
    Defect(
        Erratum(
            id=EXCLUSIVE_SEQUENCE,
            since=(4, 10),
            until=None,
            instructions="all between a load-exclusive and its store-exclusive",
            effect="the exceptions of a hit clear the exclusive monitor: the store fails, and the "
            "loop around it never ends",
            severity="kills",
            evidence="read: only kprobes look for such a sequence (is_probed_address_atomic); "
            "Arm ARM, B2.9",
            upstream="known of kprobes; uprobes trust their user",
        ),
        frozenset(),
    ),
)
