"""The answers: each probe's place, the kernel's verdict on it, and all there is to warn of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from uprobes_sim.check.code import Code
from uprobes_sim.check.concerns import CONCERNS, Concern
from uprobes_sim.check.exits import Exit, exits_of, reached_of
from uprobes_sim.check.rules import NO_ABI, REFUSED_AT_MMAP, loudest_first
from uprobes_sim.check.search import find_symbol, find_tracepoint, is_wildcard, matching
from uprobes_sim.check.site import Reading, Site, read_offset, read_vaddr
from uprobes_sim.choice import Options, link_for
from uprobes_sim.consumers import HandlerResult, UprobeConsumer
from uprobes_sim.errata import Severity
from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError, ProbeError, ProgramError, Refused
from uprobes_sim.explain import Explainer, Explanation, Spot
from uprobes_sim.flow import Flow
from uprobes_sim.languages import Question, read_question
from uprobes_sim.linker import Linked
from uprobes_sim.loader import Program
from uprobes_sim.page_cache import Inode
from uprobes_sim.prepare import check_register
from uprobes_sim.probes import ProbeSpec, parse_probe
from uprobes_sim.symbols import Symbol
from uprobes_sim.task import Task
from uprobes_sim.units import Offset, Vaddr
from uprobes_sim.verdict import Caution, Verdict

_EM_ARM: Final = 40
_FAR: Final = 128
"""Instructions on either side among which one is looked for that is emulated."""
_GOING_ON: Final = ("next", "call")
_HARMFUL: Final = ("damages", "kills", "misses")


@dataclass(frozen=True, slots=True)
class Nearby:
    """An instruction near a stepped one that the kernel emulates, which takes half the time."""

    vaddr: Vaddr
    offset: Offset
    distance: int
    """In bytes, negative: before the probe."""
    text: str
    same_path: bool
    """It is executed whenever the probed one is, and no more often."""


@dataclass(frozen=True, slots=True)
class Checked:
    """All there is to say of one probe."""

    question: Question
    verdict: Verdict
    """With every warning, the loudest first."""
    reading: Reading | None = None
    """None: the front end refuses before there is a place."""
    other: Reading | None = None
    """What the number would be in the other sense."""
    insn: str = ""
    """As the backend reads it (`arch_parse_insn`)."""
    size: int = 0
    text: str = ""
    nearby: Nearby | None = None
    exit: Exit | None = None


def link_to_check(program: Program, options: Options) -> Linked:
    """Link the backend for *program*, as `link_for`; tell of kinds that no kernel can probe.

    Raises:
        ProbeError: the kernel that would run it refuses every probe.
        UprobesSimError: as `link_for`.
    """
    try:
        return link_for(program, options)
    except ProgramError as exc:
        if program.e_machine != _EM_ARM:
            raise
        reason = "an arm64 kernel that runs it refuses every probe in it with EOPNOTSUPP"
        raise ProbeError(f"{exc}; {reason}", NO_ABI.id) from None


class Checker:
    """Answers for the probes of one file."""

    def __init__(
        self,
        program: Program,
        linked: Linked,
        options: Options,
        *,
        base: int = 0,
        concerns: Sequence[Concern] = CONCERNS,
    ) -> None:
        """Answer for *program* on the machine that *options* choose.

        *base*: where it starts, if it lies in an archive. *concerns*: the rules that look at the
        place, for whoever cannot wait for all.

        Raises:
            UprobesSimError: as `configure`.
        """
        self.program = program
        self.base = base
        self._concerns = concerns
        self.explainer = Explainer(linked, options)
        self.code = Code(program, linked.hook, linked.info, base)

    @property
    def arch(self) -> str:
        """Name of the backend."""
        return self.explainer.info.name

    def check(self, text: str) -> list[Checked]:
        """Answer for the probe *text*; a tracepoint has as many answers as places.

        Raises:
            ProbeError: it is no probe, or there is no such place.
        """
        question = read_question(text)
        if question.tracepoint is not None:
            return [
                self._at(
                    replace(question, text=spec.text, ref_ctr=self._in_archive(ref_ctr)), spec, None
                )
                for spec, ref_ctr in find_tracepoint(self.program, text, *question.tracepoint)
            ]
        if question.spec is None:
            assert question.refusal is not None
            return [Checked(question, question.refusal)]
        named = None
        if question.spec.symbol is not None:
            named = find_symbol(self.program, question.spec, question.spec.symbol)
        return [self._at(question, question.spec, named)]

    def verdict(self, text: str) -> Verdict:
        """Say what the kernel answers to the probe *text*, with every warning, and no more.

        Raises:
            ProbeError: as `check`; it is no probe with one place, as `parse_probe` reads them.
        """
        spec = parse_probe(text)
        named = None if spec.symbol is None else find_symbol(self.program, spec, spec.symbol)
        return self._verdict(self._site(Question(text, spec), spec, named))

    def explain(self, text: str) -> Explanation:
        """Say everything of the instruction that the probe *text* names; warn of the place, too.

        Raises:
            ProbeError: as `Explainer.probed`.
        """
        spot = self.explainer.probed(self.program, text)
        return self.explainer.explain(spot, self.verdict(text))

    def matching(self, text: str) -> list[Checked]:
        """Answer for every function that *text* stands for; none where it has no wildcards.

        What hurts the program comes first, then what is refused.

        Raises:
            ProbeError: no function has such a name.
        """
        question = read_question(text)
        spec = question.spec
        if spec is None or spec.symbol is None or not is_wildcard(spec):
            return []
        if self.program.symbols.find(spec.symbol):  # Go's (*T).Method, say
            return []
        tail = "%return" if spec.is_return else "%global" if spec.want_global else ""
        answers = []
        for symbol in matching(self.program, spec.symbol):
            name = f"{symbol.name}{tail}"
            asked, own = replace(question, text=name), replace(spec, text=name, symbol=symbol.name)
            answers.append(self._at(asked, own, symbol))
        return sorted(answers, key=_worst_first)

    def exits(self, text: str) -> list[Checked]:
        """Answer for a probe on each exit of the function, or functions, *text*.

        Raises:
            ProbeError: there is no such function.
        """
        question = read_question(text)
        if question.spec is None or question.spec.is_return:
            raise ProbeError(f"{text}: name a function, such as main")
        found = list[Checked]()
        for entry in self.matching(text) or self.check(text):
            assert entry.reading is not None
            function = self.code.function_at(entry.reading.vaddr or 0)
            if function is None:
                raise ProbeError(f"{text}: nothing tells where its function starts and ends")
            for each in exits_of(self.code, function):
                place = ProbeSpec(text, vaddr=each.vaddr)
                found.append(replace(self._at(question, place, None), exit=each))
        return sorted(found, key=_worst_first) if is_wildcard(question.spec) else found

    def _in_archive(self, offset: Offset | None) -> Offset | None:
        return None if offset is None else Offset(self.base + offset)

    # --- one place --------------------------------------------------------

    def _at(self, question: Question, spec: ProbeSpec, named: Symbol | None) -> Checked:
        site = self._site(question, spec, named)
        verdict, spot = self._verdict(site), self._spot(site.reading)
        there = site.reading.inner < len(self.program.data)
        insn, size = self.explainer.written(spot.insn) if there else ("", 0)
        return Checked(
            question,
            verdict,
            site.reading,
            site.other,
            insn,
            size,
            self.explainer.text(spot) if there else "",
            self._nearby(site) if verdict.verdict == "xol" else None,
        )

    def _site(self, question: Question, spec: ProbeSpec, named: Symbol | None) -> Site:
        reading, other = self._readings(spec, named)
        return Site(
            question=question,
            program=self.program,
            code=self.code,
            config=self.explainer.config,
            reading=reading,
            other=other,
            function=None if reading.vaddr is None else self.code.function_at(reading.vaddr),
            named=named,
            is_return=spec.is_return,
            base=self.base,
        )

    def _verdict(self, site: Site) -> Verdict:
        refusal = site.question.refusal or self._registered(site)
        verdict = refusal or self._analysed(self._spot(site.reading), site.reading)
        return verdict._replace(warnings=self._warnings(site, verdict, at_mmap=refusal is None))

    def _warnings(self, site: Site, verdict: Verdict, *, at_mmap: bool) -> tuple[Caution, ...]:
        """Gather all there is to warn of; *at_mmap*: a refusal comes when a process maps the file.

        What a probe that is refused would do to the program is no more than a note.
        """
        warnings = [*verdict.warnings, *(each for rule in self._concerns for each in rule(site))]
        if site.is_return:
            warnings += self.explainer.besides("return")
        if verdict.verdict != "reject":
            return loudest_first(warnings)
        warnings = [each._replace(severity=_harmless(each.severity)) for each in warnings]
        if at_mmap:
            warnings.append(
                REFUSED_AT_MMAP.caution(
                    "if no process maps the file, registering succeeds all the same; the refusal "
                    "comes at mmap, to nobody, and there are no hits"
                )
            )
            if verdict.rule == f"{self.arch}.trap":
                warnings += self.explainer.besides("trap")
        return loudest_first(warnings)

    def _readings(self, spec: ProbeSpec, named: Symbol | None) -> tuple[Reading, Reading | None]:
        """Find the place of *spec*, and what its number means in the other sense, if code."""
        code = self.code
        if named is not None:
            want_global = spec.want_global or spec.addend is not None
            entry = code.entry(named, want_global=want_global)
            vaddr = Vaddr(entry + (spec.addend or 0))
            reading = self._loaded(spec, vaddr, f"{spec.text} is at {vaddr:#x}, which")
            return _named(reading, named, vaddr - code.entry(named, want_global=True)), None
        if spec.offset is not None:
            if spec.offset < self.base:
                raise ProbeError(f"{spec.text} is before the file, which starts at {self.base:#x}")
            other = read_vaddr(code, Vaddr(spec.offset))
            return read_offset(code, spec.offset), other if other and other.is_code else None
        assert spec.vaddr is not None
        as_offset = read_offset(code, Offset(spec.vaddr))
        other = as_offset if as_offset.is_code else None
        return self._loaded(spec, spec.vaddr, f"{spec.text}", other), other

    def _loaded(
        self, spec: ProbeSpec, vaddr: Vaddr, what: str, other: Reading | None = None
    ) -> Reading:
        reading = read_vaddr(self.code, vaddr)
        if reading is not None:
            return reading
        hint = "; ".join(
            f"code is at {segment.vaddr:#x}-{segment.end:#x}"
            for segment in self.program.segments
            if segment.executable
        )
        if other is not None:
            hint = f"as a file offset it is {other.label}: write @{spec.vaddr:#x}"
        raise ProbeError(f"{what} is no address that the file has bytes for; {hint}")

    def _spot(self, reading: Reading) -> Spot:
        size = self.explainer.info.max_insn_bytes
        insn = self.program.data[reading.inner : reading.inner + size].ljust(size, b"\0")
        return self.explainer.spot(
            self.program, insn, reading.symbol, reading.vaddr, reading.offset
        )

    def _registered(self, site: Site) -> Verdict | None:
        """Say what the simulated kernel has against registering, whoever maps the file."""
        consumer = _RETURN if site.is_return else _ENTRY
        up, offset = self.explainer.up, site.reading.offset
        try:
            check_register(up, self._inode, offset, consumer, site.question.ref_ctr or 0)
        except KernelError as exc:
            rule = exc.rule if isinstance(exc, Refused) else "uprobes.refused"
            return Verdict("reject", exc.errno, rule, exc.reason)
        return None

    @cached_property
    def _inode(self) -> Inode:
        """The file, of which registering looks at nothing but the size."""
        size = self.base + len(self.program.data)
        return Inode(1, self.program.path.name, bytes(size) if self.base else self.program.data)

    def _analysed(self, spot: Spot, reading: Reading) -> Verdict:
        if reading.inner >= len(self.program.data):
            reason = f"offset {reading.offset:#x} is the end of the file: there is nothing to copy"
            return Verdict("reject", Errno.EIO, "uprobes.end_of_file", reason)
        return self.explainer.judge(spot)

    # --- what is cheaper --------------------------------------------------

    def _nearby(self, site: Site) -> Nearby | None:
        """Find the nearest instruction of the function that is emulated, and does no harm."""
        if site.function is None or not site.reading.is_code:
            return None
        insns = list(self.code.walk(site.function.start, site.function.end))
        places = [vaddr for vaddr, _ in insns]
        if site.reading.vaddr not in places:
            return None
        here = places.index(site.reading.vaddr)
        targets = {flow.target for _, flow in insns if flow.kind in ("branch", "jump")}
        block = set(_block(insns, here, targets))
        others = reached_of(insns) | block
        around = range(max(0, here - _FAR), min(len(insns), here + _FAR))
        near = sorted(
            (at for at in around if at in others and at != here),
            key=lambda at: (at not in block, abs(places[at] - places[here]), at < here),
        )
        for at in near:
            found = self._emulated(places[at])
            if found is not None:
                text, offset = found
                distance = places[at] - places[here]
                return Nearby(places[at], offset, distance, text, at in block)
        return None

    def _emulated(self, vaddr: Vaddr) -> tuple[str, Offset] | None:
        reading = read_vaddr(self.code, vaddr)
        if reading is None:
            return None
        spot = self._spot(reading)
        verdict = self.explainer.judge(spot)
        harmful = any(each.severity in _HARMFUL for each in verdict.warnings)
        if verdict.verdict != "emulate" or harmful:
            return None
        return self.explainer.text(spot), reading.offset


def _worst_first(found: Checked) -> tuple[int, int]:
    """Give the place in a list of which nobody has asked for the order."""
    warned = {each.severity for each in found.verdict.warnings}
    grades = ("damages" in warned, "kills" in warned, found.verdict.verdict == "reject", True)
    vaddr = None if found.reading is None else found.reading.vaddr
    return grades.index(True), vaddr or 0


def _named(reading: Reading, symbol: Symbol, distance: int) -> Reading:
    """Call a place by the name that the user gave, one of several perhaps."""
    label = f"{symbol.name}+{distance:#x}" if distance else symbol.name
    return replace(reading, symbol=symbol.name, label=label)


def _block(insns: list[tuple[Vaddr, Flow]], here: int, targets: set[Vaddr | None]) -> Iterator[int]:
    """Give the instructions that are executed whenever the one at index *here* is."""
    for at in range(here, len(insns)):
        if at > here and insns[at][0] in targets:
            break
        yield at
        if insns[at][1].kind not in _GOING_ON:
            break
    for at in range(here, 0, -1):
        if insns[at][0] in targets or insns[at - 1][1].kind not in _GOING_ON:
            break
        yield at - 1


def _harmless(severity: Severity) -> Severity:
    """Weaken a warning of what a probe would do if it were not refused."""
    return "note" if severity in ("damages", "kills") else severity


def _ignore(task: Task) -> HandlerResult:
    return HandlerResult.KEEP


def _returned(task: Task, func: Vaddr) -> None:
    return None


_ENTRY: Final = UprobeConsumer(handler=_ignore)
_RETURN: Final = UprobeConsumer(ret_handler=_returned)
