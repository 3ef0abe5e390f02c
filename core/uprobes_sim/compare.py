"""The probed run beside the unprobed one: could the program tell?"""

from dataclasses import dataclass, field, replace
from typing import Final

from uprobes_sim.events import Compared, Difference, What
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.signals import Signal
from uprobes_sim.task import Task
from uprobes_sim.units import PAGE_SHIFT, PAGE_SIZE, Vaddr
from uprobes_sim.xol import UPROBES_MAPPINGS, uprobes_state

_PIECE: Final = 48
"""Bytes of a difference that are shown."""


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
    stacks: frozenset[tuple[int, int]] = field(default=frozenset())
    """Where these addresses may lie on: start and end of each stack."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What it has made of files: path and state."""
    others: "tuple[FinalState, ...]" = ()
    """The other tasks of the run, in the order of their creation."""
    kept: dict[int, bytes] | None = None
    """Pages by number, of one of the others; None: its memory is another task's, or `mm`."""

    @classmethod
    def of(
        cls,
        task: Task,
        output: dict[int, bytes],
        files: dict[str, bytes] | None = None,
        others: "tuple[FinalState, ...]" = (),
        kept: dict[int, bytes] | None = None,
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
            stacks=frozenset(area.stacks) if area else frozenset(),
            files=files or {},
            others=others,
            kept=kept,
        )

    @classmethod
    def of_other(cls, task: Task) -> "FinalState":
        """Take the state of a task that leaves, and of the pages that go with it.

        Those are what its process alone has written: what it shares, another has.
        """
        kept = _own_pages(task.mm) if task.mm.users == 1 else {}
        return cls.of(task, {}, kept=kept)

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
    found.registers(probed, unprobed)
    ours, theirs = _mappings(probed.mm), _mappings(unprobed.mm)
    for line in sorted(set(ours) ^ set(theirs)):
        found.values("mapping", line, line in ours, line in theirs)
    for vpn in sorted(_pages(probed.mm) | _pages(unprobed.mm)):
        found.page(vpn << PAGE_SHIFT, _page(probed.mm, vpn), _page(unprobed.mm, vpn))
    return _with_others(found.result(), probed, unprobed)


def _with_others(main: Compared, probed: FinalState, unprobed: FinalState) -> Compared:
    """Add what the other tasks differ in, each beside the one made in its turn."""
    differences, values = list(main.differences), main.trampoline_values
    counts = len(probed.others), len(unprobed.others)
    if counts[0] != counts[1]:
        differences.append(Difference("exit_status", "tasks made", *map(str, counts)))
    for n, (ours, theirs) in enumerate(zip(probed.others, unprobed.others, strict=False), 1):
        found = _Findings(_with_parents(ours, probed), f" of task {n}")
        found.values("exit_status", f"task {n}", ours.end, theirs.end)
        found.registers(ours, theirs)
        our_pages, their_pages = ours.kept or {}, theirs.kept or {}
        for vpn in sorted(our_pages.keys() & their_pages.keys()):
            found.page(vpn << PAGE_SHIFT, our_pages[vpn], their_pages[vpn])
        result = found.result()
        differences += result.differences
        values += result.trampoline_values
    return Compared(tuple(differences), values)


def _with_parents(state: FinalState, first: FinalState) -> FinalState:
    """Add to the state of a task what it may have inherited on its stack."""
    return replace(
        state,
        trampoline=state.trampoline or first.trampoline,
        replaced=state.replaced | first.replaced,
        residue=first.residue | state.residue,
        stacks=state.stacks | first.stacks,
    )


class _Findings:
    """What was found so far."""

    def __init__(self, probed: FinalState, whose: str = "") -> None:
        self._probed = probed
        self._whose = whose
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

    def registers(self, probed: FinalState, unprobed: FinalState) -> None:
        for name, value in probed.registers.items():
            other = unprobed.registers[name]
            if value == other:
                continue
            if self._probed.stands_for(value, other):
                self._trampoline_values += 1
            else:
                texts = f"{value:#x}", f"{other:#x}"
                self._differences.append(Difference("register", name + self._whose, *texts))

    def page(self, start: int, probed: bytes, unprobed: bytes) -> None:
        if probed == unprobed or not probed or not unprobed:
            return
        for at in range(0, PAGE_SIZE, self._word):
            ours, theirs = probed[at : at + self._word], unprobed[at : at + self._word]
            if ours == theirs:
                continue
            dead = self._in_stack(start + at) and self._probed.left_over(ours, theirs)
            if dead or self._probed.pushed(start + at, ours, theirs):
                self._trampoline_values += 1
            else:
                self._add_memory(start + at, ours, theirs)

    def _in_stack(self, vaddr: int) -> bool:
        vma = self._probed.mm.find_vma(vaddr)
        if vma is not None and vma.name == "[stack]":
            return True
        return any(start <= vaddr < end for start, end in self._probed.stacks)

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
                f"{start:#x}-{start + len(ours):#x}{self._whose}",
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
        if vma.name not in UPROBES_MAPPINGS
    )


def _own_pages(mm: Mm) -> dict[int, bytes]:
    """Copy the private pages that nobody shares, without code, where breakpoints are."""
    found = {}
    for vpn, pte in sorted(mm.pgtable.items()):
        vma = mm.find_vma(vpn << PAGE_SHIFT)
        if (
            pte.anon
            and pte.frame.mapcount == 1
            and vma is not None
            and not vma.flags & VmFlags.EXEC
        ):
            found[vpn] = bytes(pte.frame.data)
    return found


def _pages(mm: Mm) -> set[int]:
    """Page numbers that are present, without those of the probes' mappings."""
    ours = [
        range(v.start, v.end, PAGE_SIZE) for v in mm.vmas.values() if v.name in UPROBES_MAPPINGS
    ]
    return mm.pgtable.keys() - {vaddr >> PAGE_SHIFT for pages in ours for vaddr in pages}


def _page(mm: Mm, vpn: int) -> bytes:
    """Read one page as the kernel does; nothing where nothing is mapped."""
    if mm.find_vma(vpn << PAGE_SHIFT) is None:
        return b""
    return mm.read(vpn << PAGE_SHIFT, PAGE_SIZE, force=True)
