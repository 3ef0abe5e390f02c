"""The kernel's answer to a probe on one instruction, beforehand: this release's, and each one's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from uprobes_sim.arch import ArchUprobe
from uprobes_sim.choice import Options, configure, configure_as, kernel_of
from uprobes_sim.errata import Erratum
from uprobes_sim.errors import KernelError, Refused, UprobesSimError
from uprobes_sim.linker import Linked
from uprobes_sim.loader import Program
from uprobes_sim.memory import Mm, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.prepare import check_configured
from uprobes_sim.probes import parse_probe, resolve
from uprobes_sim.sched import Scheduler
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, Offset, Vaddr
from uprobes_sim.uprobes import Uprobes
from uprobes_sim.verdict import Caution, Grounds, Verdict
from uprobes_sim.version import Kernel, releases

_CODE: Final = VmFlags.READ | VmFlags.EXEC | VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC


def judge(up: Uprobes, insn: bytes, mm: Mm, vaddr: Vaddr) -> Verdict:
    """Say what registering a probe on *insn*, mapped at *vaddr*, is answered.

    *insn*: `max_insn_bytes` as they lie in the file, zeros behind its end. The
    answer is for an ordinary hit of an ordinary task.
    """
    answer, auprobe = _answer(up, insn, mm, vaddr)
    if auprobe is None:
        return answer
    warnings = up.hook.arch_uprobe_warnings(auprobe=auprobe, abi=mm.abi, config=up.config)
    return answer._replace(warnings=warnings)


def _answer(up: Uprobes, insn: bytes, mm: Mm, vaddr: Vaddr) -> tuple[Verdict, ArchUprobe | None]:
    """Judge, but for the warnings; answer the probe as well, where there is one."""
    try:
        check_configured(up)
        auprobe = up.analyze_insn(insn, mm, vaddr)
    except KernelError as exc:
        rule = exc.rule if isinstance(exc, Refused) else f"{up.info.name}.refused"
        return Verdict("reject", exc.errno, rule, exc.reason), None
    chosen = up.hook.arch_uprobe_mechanism(auprobe=auprobe, abi=mm.abi, config=up.config)
    return Verdict(chosen.how, None, chosen.rule, chosen.reason), auprobe


@dataclass(frozen=True, slots=True)
class Spot:
    """An instruction, and where it was found."""

    insn: bytes
    """`max_insn_bytes` of it."""
    mm: Mm
    """Where it is mapped; of a bare instruction, where nothing is."""
    program: Program | None = None
    symbol: str | None = None
    vaddr: Vaddr | None = None
    """As in the ELF file."""
    offset: Offset | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All there is to say of one instruction."""

    spot: Spot
    text: str
    """As an assembler would write it."""
    insn: str
    """As the backend reads it (`arch_parse_insn`)."""
    size: int
    """In bytes."""
    verdict: Verdict
    fields: dict[str, int | str]
    by_kernel: dict[str, Verdict]
    """The verdict, without warnings, of each release of the table, the oldest first."""
    errata: tuple[Erratum, ...]
    """Every known defect that concerns it, whatever the release."""
    grounds: Grounds | None
    """Where the rule of the verdict comes from; None: the backend does not say."""


class Explainer:
    """Verdicts of one backend, for any number of instructions."""

    def __init__(self, linked: Linked, options: Options) -> None:
        """Answer for the machine that *options* choose, and for every release.

        Raises:
            UprobesSimError: as `configure`.
        """
        self.hook = linked.hook
        self.info = linked.info
        self.config = configure(linked, options)
        self._linked = linked
        self.up = Uprobes(linked, self.config, Scheduler())
        self.nowhere = self._new_mm()
        """Where nothing is mapped."""
        self._mapped: dict[Path, Mm] = {}
        self._options = options

    @cached_property
    def _all(self) -> dict[str, Uprobes]:
        """Every release of the table, the oldest first."""
        rows = releases(self.hook.arch_behaviours())
        return {str(kernel): self._with(str(kernel)) for kernel in map(Kernel, rows)}

    def _with(self, release: str) -> Uprobes:
        options = replace(self._options, kernel=release, kconfig=None, host=None)
        config = configure_as(self._linked, kernel_of(self._linked, options), options)
        return Uprobes(self._linked, config, Scheduler())

    def _new_mm(self) -> Mm:
        info = self.info
        return Mm(info.abi, task_size=info.task_size, mmap_base=info.mmap_base)

    def _map(self, program: Program) -> Mm:
        """Map the code of *program* where its headers say, for backends that look around."""
        mm = self._mapped.get(program.path)
        if mm is None:
            mm = self._mapped[program.path] = self._new_mm()
            inode = Inode(1, program.path.name, program.data)
            for segment in program.segments:
                if segment.executable:
                    first = segment.vaddr & ~PAGE_MASK
                    size = segment.vaddr + segment.filesz - first
                    pgoff = segment.offset >> PAGE_SHIFT
                    mm.mmap(first, size, _CODE, inode=inode, pgoff=pgoff, name=inode.name)
        return mm

    def bare(self, text: str) -> Spot:
        """Read an instruction as the backend's manual writes it.

        Raises:
            UprobesSimError: it is none.
        """
        try:
            insn = parse_insn(self._linked, text)
        except ValueError as exc:
            raise UprobesSimError(f"{text!r} is no {self.info.name} instruction: {exc}") from None
        return Spot(insn, self.nowhere)

    def probed(self, program: Program, probe: str) -> Spot:
        """Find the instruction that *probe* names in *program*.

        Raises:
            ProbeError: as `parse_probe` and `resolve`.
        """
        place = resolve(parse_probe(probe), program, self.hook)
        size = self.info.max_insn_bytes
        insn = program.data[place.offset : place.offset + size].ljust(size, b"\0")
        return self.spot(program, insn, place.symbol, place.vaddr, place.offset)

    def spot(
        self,
        program: Program,
        insn: bytes,
        symbol: str | None,
        vaddr: Vaddr | None,
        offset: Offset,
    ) -> Spot:
        """Take *insn* for what is at *vaddr* and *offset* of *program*."""
        return Spot(insn, self._map(program), program, symbol, vaddr, offset)

    def judge(self, spot: Spot) -> Verdict:
        """Say what the kernel answers to a probe on *spot*."""
        return judge(self.up, spot.insn, spot.mm, spot.vaddr or Vaddr(spot.offset or 0))

    def text(self, spot: Spot) -> str:
        """Write the instruction at *spot* as an assembler would."""
        return self.hook.arch_insn_text(
            insn=spot.insn, vaddr=spot.vaddr or Vaddr(0), abi=self.info.abi
        )

    def written(self, insn: bytes) -> tuple[str, int]:
        """Write *insn* as the backend reads it; answer its size in bytes as well."""
        written = self.hook.arch_format_insn(insn=insn, abi=self.info.abi)
        return written, len(written) // 2

    def explain(self, spot: Spot, verdict: Verdict | None = None) -> Explanation:
        """Say everything of the instruction at *spot*; *verdict*: on the probe there, if known."""
        vaddr = spot.vaddr or Vaddr(0)
        verdict = verdict or self.judge(spot)
        return Explanation(
            spot,
            self.text(spot),
            *self.written(spot.insn),
            verdict,
            self.hook.arch_insn_fields(insn=spot.insn, abi=self.info.abi),
            {
                release: _answer(up, spot.insn, spot.mm, vaddr)[0]
                for release, up in self._all.items()
            },
            self._errata(spot),
            self._grounds(verdict, spot),
        )

    def _errata(self, spot: Spot) -> tuple[Erratum, ...]:
        """List the defects that a kernel with all of them would show on an instruction."""
        verdict = judge(self._faulty, spot.insn, spot.mm, spot.vaddr or Vaddr(0))
        named = {caution.rule for caution in verdict.warnings}
        return tuple(each for each in self._known if each.id in named)

    @cached_property
    def _known(self) -> tuple[Erratum, ...]:
        return self.hook.arch_errata()

    def besides(self, what: str) -> Iterator[Caution]:
        """Warn of the defects in force that concern a probe for being *what*."""
        for erratum in self._known:
            fits = erratum.besides == what and erratum.bits in (None, self.info.abi.bits)
            if fits and erratum.id in self.config.in_force:
                yield Caution(erratum.id, erratum.severity, erratum.effect)

    @cached_property
    def _faulty(self) -> Uprobes:
        """The machine with every known defect of any release."""
        config = replace(self.config, in_force=frozenset(each.id for each in self._known))
        return Uprobes(self._linked, config, Scheduler())

    def _grounds(self, verdict: Verdict, spot: Spot) -> Grounds | None:
        if verdict.rule.startswith("uprobes."):
            return Grounds("kernel/events/uprobes.c, uprobe_register")
        found = self.hook.arch_grounds(rule=verdict.rule, insn=spot.insn, abi=self.info.abi)
        return found[0] if found else None


def parse_insn(linked: Linked, text: str) -> bytes:
    """Read an instruction as people write it; answer `max_insn_bytes`, zeros behind it.

    Raises:
        ValueError: it is none, or longer than an instruction can be.
    """
    size = linked.info.max_insn_bytes
    insn = linked.hook.arch_parse_insn(text=text.strip(), abi=linked.info.abi)
    if not insn:
        raise ValueError("there are no digits")
    if len(insn) > size:
        raise ValueError(f"the kernel copies {size} bytes, these are {len(insn)}")
    return insn.ljust(size, b"\0")


def runs(by_kernel: dict[str, Verdict]) -> Iterator[tuple[str, Verdict]]:
    """Give the releases with which the answer changes, and the answer from there on."""
    last: tuple[object, ...] | None = None
    for release, verdict in by_kernel.items():
        answer = verdict.verdict, verdict.errno
        if answer != last:
            yield release, verdict
        last = answer
