"""The probed run beside the unprobed one: could the program tell?"""

from dataclasses import dataclass, field
from typing import Final

from uprobes_sim.events import Compared, Difference, What
from uprobes_sim.memory import Mm
from uprobes_sim.signals import Signal
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE, Vaddr
from uprobes_sim.xol import uprobes_state

_PIECE: Final = 48
"""Bytes of a difference that are shown."""

_OURS: Final = frozenset({"[uprobes]", "[uprobes-trampoline]"})
"""Names of the mappings that probes make."""


@dataclass(frozen=True, slots=True)
class FinalState:
    """All that a program leaves behind when it ends."""

    mm: Mm
    exit_status: int | None
    signal: Signal | None
    output: dict[int, bytes]
    """What it wrote, by file descriptor."""
    registers: dict[str, int]
    trampoline: Vaddr | None = None
    """Where its probed functions returned to."""
    replaced: frozenset[Vaddr] = field(default=frozenset())
    """The return addresses for which the trampoline's stood."""
    residue: dict[int, bytes] = field(default_factory=dict)
    """What trampolines have left below the stack pointer, by address."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What it has made of files: path and state."""

    @classmethod
    def of(
        cls, task: Task, output: dict[int, bytes], files: dict[str, bytes] | None = None
    ) -> "FinalState":
        """Take the state of a task that has ended, before its probes are removed."""
        state = uprobes_state(task.mm)
        area = state.xol_area
        return cls(
            mm=task.mm,
            exit_status=task.exit_status,
            signal=task.killed_by,
            output=output,
            registers={name: task.regs.get(name) for name in task.regs.names()},
            trampoline=area.vaddr if area else None,
            replaced=frozenset(area.replaced) if area else frozenset(),
            residue=state.residue,
            files=files or {},
        )

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if self.signal is not None:
            return self.signal.name
        return "still running" if self.exit_status is None else str(self.exit_status)

    def stands_for(self, value: int, unprobed: int) -> bool:
        """Tell whether *value* is the trampoline's address in place of a return address."""
        return value == self.trampoline and unprobed in self.replaced

    def pushed(self, vaddr: int, probed: bytes, unprobed: bytes) -> bool:
        """Tell whether two words at *vaddr* differ in nothing but what a trampoline has pushed.

        Dead words may be overwritten in part, so each byte counts for itself.
        """
        ours = self.residue.get(vaddr)
        return ours is not None and all(
            byte in (ours[i], unprobed[i]) for i, byte in enumerate(probed)
        )

    def left_over(self, probed: bytes, unprobed: bytes) -> bool:
        """Tell whether two words differ in nothing but the trampoline's address."""
        if self.trampoline is None:
            return False
        order = self.mm.abi.byteorder
        ours = self.trampoline.to_bytes(len(probed), order)
        at = [i for i, byte in enumerate(probed) if byte != unprobed[i]]
        return all(probed[i] == ours[i] for i in at) and any(
            all(unprobed[i] == theirs[i] for i in at)
            for theirs in (vaddr.to_bytes(len(probed), order) for vaddr in self.replaced)
        )


def compare(probed: FinalState, unprobed: FinalState) -> Compared:
    """Compare everything but the probes' own page, with the probes removed again."""
    found = _Findings(probed)
    found.values("exit_status", "", probed.end, unprobed.end)
    for fd in sorted(probed.output.keys() | unprobed.output.keys()):
        found.content("output", f"fd {fd}", probed.output.get(fd), unprobed.output.get(fd))
    for path in sorted(probed.files.keys() | unprobed.files.keys()):
        found.content("file", path, probed.files.get(path), unprobed.files.get(path))
    for name, value in probed.registers.items():
        found.word("register", name, value, unprobed.registers[name])
    ours, theirs = _mappings(probed.mm), _mappings(unprobed.mm)
    for line in sorted(set(ours) ^ set(theirs)):
        found.values("mapping", line, line in ours, line in theirs)
    for vpn in sorted(_pages(probed.mm) | _pages(unprobed.mm)):
        found.page(vpn << PAGE_SHIFT, _page(probed.mm, vpn), _page(unprobed.mm, vpn))
    return found.result()


class _Findings:
    """What was found so far."""

    def __init__(self, probed: FinalState) -> None:
        self._probed = probed
        self._word = probed.mm.abi.bits // 8
        self._differences: list[Difference] = []
        self._memory: list[tuple[int, bytes, bytes]] = []
        """Ranges of memory that differ: address, probed, unprobed."""
        self._trampoline_values = 0

    def values(self, what: What, where: str, probed: object, unprobed: object) -> None:
        if probed != unprobed:
            self._differences.append(Difference(what, where, _text(probed), _text(unprobed)))

    def content(self, what: What, where: str, probed: bytes | None, unprobed: bytes | None) -> None:
        """Compare two strings of bytes, and show them from where they differ on."""
        if probed == unprobed:
            return
        ours, theirs = probed or b"", unprobed or b""
        pairs = enumerate(zip(ours, theirs, strict=False))
        same = next((at for at, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
        self._differences.append(
            Difference(what, f"{where}, byte {same}", _piece(ours[same:]), _piece(theirs[same:]))
        )

    def word(self, what: What, where: str, probed: int, unprobed: int) -> None:
        if probed == unprobed:
            return
        if self._probed.stands_for(probed, unprobed):
            self._trampoline_values += 1
        else:
            self._differences.append(Difference(what, where, f"{probed:#x}", f"{unprobed:#x}"))

    def page(self, start: int, probed: bytes, unprobed: bytes) -> None:
        if probed == unprobed or not probed or not unprobed:
            return
        vma = self._probed.mm.find_vma(start)
        in_stack = vma is not None and vma.name == "[stack]"
        for at in range(0, PAGE_SIZE, self._word):
            ours, theirs = probed[at : at + self._word], unprobed[at : at + self._word]
            if ours == theirs:
                continue
            dead = in_stack and self._probed.left_over(ours, theirs)
            if dead or self._probed.pushed(start + at, ours, theirs):
                self._trampoline_values += 1
            else:
                self._add_memory(start + at, ours, theirs)

    def _add_memory(self, vaddr: int, probed: bytes, unprobed: bytes) -> None:
        """Add a word to the range that ends right before it, if one does."""
        if self._memory:
            start, ours, theirs = self._memory[-1]
            if start + len(ours) == vaddr:
                self._memory[-1] = (start, ours + probed, theirs + unprobed)
                return
        self._memory.append((vaddr, probed, unprobed))

    def result(self) -> Compared:
        memory = [
            Difference(
                "memory",
                f"{start:#x}-{start + len(ours):#x}",
                _words(ours, self._word),
                _words(theirs, self._word),
            )
            for start, ours, theirs in self._memory
        ]
        return Compared((*self._differences, *memory), self._trampoline_values)


def _words(value: bytes, word: int) -> str:
    """Write a range of memory by words, a long one cut."""
    return value[:_PIECE].hex(" ", -word) + (" …" if len(value) > _PIECE else "")


def _piece(value: bytes) -> str:
    """Write the beginning of some bytes for people: as text if it is some."""
    head = value[:_PIECE]
    text = head.decode("ascii") if head.isascii() else ""
    shown = repr(text) if text.replace("\n", " ").isprintable() and text else head.hex(" ", -8)
    return (shown or "nothing") + (" …" if len(value) > _PIECE else "")


def _text(value: object) -> str:
    """Write a value for people."""
    match value:
        case Signal():
            return value.name
        case None:
            return "none"
        case _:
            return str(value)


def _mappings(mm: Mm) -> tuple[str, ...]:
    """List the mappings as /proc/PID/maps does, without the probes' page."""
    return tuple(
        f"{vma.start:x}-{vma.end:x} {int(vma.flags):x} {vma.name}"
        for vma in mm.vmas.values()
        if vma.name not in _OURS
    )


def _pages(mm: Mm) -> set[int]:
    """Page numbers that are present, without those of the probes' mappings."""
    ours = [range(v.start, v.end, PAGE_SIZE) for v in mm.vmas.values() if v.name in _OURS]
    return mm.pgtable.keys() - {vaddr >> PAGE_SHIFT for pages in ours for vaddr in pages}


def _page(mm: Mm, vpn: int) -> bytes:
    """Read one page as the kernel does; nothing where nothing is mapped."""
    if mm.find_vma(vpn << PAGE_SHIFT) is None:
        return b""
    return mm.read(vpn << PAGE_SHIFT, PAGE_SIZE, force=True)
