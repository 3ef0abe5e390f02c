"""The warnings of `check`: what each means, and what to do instead."""

from dataclasses import dataclass
from typing import Final

from uprobes_sim.errata import Severity
from uprobes_sim.verdict import Caution

SEVERITIES: Final[tuple[Severity, ...]] = ("damages", "kills", "misses", "slow", "note")
"""The loudest first."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of warning."""

    id: str
    severity: Severity
    what: str
    """When it is given, and what happens."""
    instead: str
    """What the user can do."""

    def caution(self, reason: str) -> Caution:
        """Warn by this rule, of what *reason* tells."""
        return Caution(self.id, self.severity, reason)


INSIDE_INSN: Final = Rule(
    "check.inside_insn",
    "damages",
    "The place is inside an instruction. The kernel does not look where instructions start: the "
    "breakpoint becomes part of one, which then does something else.",
    "Take the start that the warning names.",
)
NOT_CODE: Final = Rule(
    "check.not_code",
    "damages",
    "The place is in a segment or section that is not code. The kernel takes any private mapping "
    "that is not writable, and writes the breakpoint into what are constants.",
    "Probably an address was given where an offset is wanted, or the reverse: see `readings`.",
)
RETURN_INSIDE: Final = Rule(
    "check.return_inside",
    "damages",
    "A return probe that is not at a function's entry: the kernel takes whatever lies on top of "
    "the stack, or in the link register, for the return address, and writes over it.",
    "Put the return probe at the entry.",
)
RETURN_START: Final = Rule(
    "check.return_start",
    "damages",
    "A return probe at the program's entry point, to which the kernel jumps, or the dynamic "
    "linker: nobody has called it. The word on top of the stack, which the kernel takes for the "
    "return address and writes over, is argc.",
    "Put the return probe on main; the entry point never returns.",
)
RETURN_GO: Final = Rule(
    "check.return_go",
    "kills",
    "A return probe in a Go program: the runtime moves stacks and reads the return addresses on "
    "them; finding the trampoline there, it ends the program.",
    "Probe every return instruction instead: `check --exits FUNCTION` lists them.",
)
RETURN_STACK_SWITCH: Final = Rule(
    "check.return_stack_switch",
    "kills",
    "A return probe in a program that switches stacks in user mode (swapcontext and its like): "
    "the kernel pairs returns with entries by the order of one stack.",
    "Probe the return instructions instead: `check --exits FUNCTION`.",
)
RETURN_EXCEPTIONS: Final = Rule(
    "check.return_exceptions",
    "kills",
    "A return probe in a program with exceptions (C++, Rust panics): while the function runs its "
    "return address is the trampoline's, behind which no unwinder finds a caller, so an exception "
    "that leaves the function ends the program.",
    "Probe the return instructions instead: `check --exits FUNCTION`.",
)
REFUSED_AT_MMAP: Final = Rule(
    "check.refused_at_mmap",
    "misses",
    "The kernel looks at the instruction only when a process maps the file. Registered before "
    "that, the probe is accepted; the refusal at mmap goes to nobody, and there are no hits.",
    "Do not take success for an answer unless the program was running.",
)
UNMAPPED: Final = Rule(
    "check.unmapped",
    "misses",
    "No segment loads this part of the file: registering succeeds, and there are no hits.",
    "Probably an address was given where an offset is wanted: see `readings`.",
)
WRITABLE_SEGMENT: Final = Rule(
    "check.writable_segment",
    "misses",
    "The segment is mapped writable, and the kernel puts no probe into a writable mapping "
    "(nor into a shared one): registering succeeds, and there are no hits.",
    "Link the code into a segment that is not writable.",
)
OTHER_READING: Final = Rule(
    "check.other_reading",
    "misses",
    "The number means no code as it was written, but does so in the other reading: addresses and "
    "file offsets were mixed up.",
    "Take the other number that the warning names.",
)
GLOBAL_ENTRY: Final = Rule(
    "check.global_entry",
    "misses",
    "The place is a function's global entry point, or between its two: callers in the same file "
    "enter at the local one, behind it.",
    "Probe the local entry, to which both lead: the symbol without %global.",
)
DESCRIPTOR: Final = Rule(
    "check.descriptor",
    "note",
    "The symbol names a function descriptor (ELFv1), not code; the probe goes to the code.",
    "Nothing; but a tool that takes the symbol's value probes data.",
)
IFUNC: Final = Rule(
    "check.ifunc",
    "misses",
    "The symbol is an indirect function (IFUNC): its code runs once, to choose the "
    "implementation, which is what callers then call.",
    "Probe the implementations.",
)
PLT: Final = Rule(
    "check.plt",
    "misses",
    "The place is a stub of the procedure linkage table: only calls from this file pass it, and "
    "calls by pointer or from others do not.",
    "Probe the function in the library that defines it.",
)
UNDEFINED: Final = Rule(
    "check.undefined",
    "misses",
    "The file does not define the symbol: it imports it, or a library that it needs has it.",
    "Put the probe into the library that the message names.",
)
INLINED: Final = Rule(
    "check.inlined",
    "misses",
    "The compiler has copied the function into its callers (DWARF tells where): those copies do "
    "not pass the probe.",
    "Probe the copies as well, at the addresses that the warning names.",
)
INLINED_UNKNOWN: Final = Rule(
    "check.inlined_unknown",
    "note",
    "The file has DWARF that was not read (there is too much of it for the name, it is in .dwo "
    "files, packed in another way than by zlib, or broken): copies of the function in its callers "
    "were not looked for, and such copies do not pass the probe.",
    "Ask gdb, as the warning says: `break FUNCTION`, `info breakpoints`.",
)
NO_RETURN: Final = Rule(
    "check.no_return",
    "misses",
    "A return probe on a function that has neither a return instruction nor a tail call.",
    "See how it ends: `check --exits FUNCTION`.",
)
NO_CALLER: Final = Rule(
    "check.no_caller",
    "misses",
    "A return probe at the program's entry point, where return addresses are in a register: nobody "
    "has called it, and it never returns. The register gets the trampoline's address.",
    "Put the return probe on main.",
)
SEMAPHORE_DIFFERS: Final = Rule(
    "check.semaphore_differs",
    "misses",
    "USDT notes give one place several semaphores: the kernel keeps one for each place, and "
    "answers EINVAL to the second.",
    "Attach to one of them.",
)
SEMAPHORE_UNREACHABLE: Final = Rule(
    "check.semaphore_unreachable",
    "misses",
    "The semaphore of a USDT probe is in no writable segment, so the kernel never counts it up, "
    "and the program does not come to the probe.",
    "Rebuild the program with the semaphore in .probes, writable.",
)
SEMAPHORE: Final = Rule(
    "check.semaphore",
    "note",
    "The USDT probe is guarded by a semaphore: attached without it, it is not reached.",
    "Give its file offset as the reference counter.",
)
EVENT_NAME: Final = Rule(
    "check.event_name",
    "note",
    "Tools that go by tracefs make the event's name of path and offset; of this path it is "
    "longer than the 63 characters that the kernel takes, which is EINVAL.",
    "Use a shorter path, such as a symbolic link, or a tool that opens a perf event.",
)
UNSURE: Final = Rule(
    "check.unsure",
    "note",
    "Nothing in the file tells where instructions start here (it is stripped): the boundary is "
    "a guess, with the confidence that the warning states.",
    "Check against the debugging symbols, or a build that has them.",
)
ARCHIVE: Final = Rule(
    "check.archive",
    "misses",
    "The file is in an archive, at an offset that no loader can map, or compressed: what runs "
    "is another, unpacked file.",
    "Align it (`zipalign -p 4`, stored uncompressed), or probe the unpacked file.",
)
NO_ABI: Final = Rule(
    "check.abi",
    "misses",
    "The kernel that runs the program cannot probe programs of its kind: an arm64 kernel refuses "
    "every probe in a 32-bit ARM program with EOPNOTSUPP.",
    "Build the program for 64 bits, or trace it by other means.",
)

RULES: Final[dict[str, Rule]] = {
    rule.id: rule for rule in list(globals().values()) if isinstance(rule, Rule)
}
"""All of them."""


def loudest_first(cautions: list[Caution]) -> tuple[Caution, ...]:
    """Order warnings by how much harm they tell of; of one rule and reason keep one."""
    once = list(dict.fromkeys(cautions))
    return tuple(sorted(once, key=lambda caution: SEVERITIES.index(caution.severity)))
