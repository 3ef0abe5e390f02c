"""The running kernel's verdicts on instructions, beside those of a backend."""

from pathlib import Path
from random import Random
from typing import Final

from uprobes_sim.conformance.bench import CODE, Bench
from uprobes_sim.conformance.live_kernel import ACCEPTED, LiveKernel, loaded
from uprobes_sim.conformance.program import write_program
from uprobes_sim.kconfig import read_host
from uprobes_sim.linker import Linked
from uprobes_sim.units import PAGE_SIZE, Vaddr

_STRIDE: Final = 16
"""Bytes from one instruction to the next, unless one may be longer: none sees its neighbour."""


class KernelJudge:
    """Compares the verdicts for the tasks of one ABI, by the rules of the kernel that runs."""

    def __init__(self, linked: Linked, live: LiveKernel) -> None:
        """Simulate the kernel of this machine.

        Raises:
            UnknownKernelError: it is newer than the table of releases.
        """
        self._info = linked.info
        self._bench = Bench(linked, "linux", read_host())
        self._live = live
        self.stride = max(_STRIDE, linked.info.max_insn_bytes)

    def samples(self, count: int, random: Random) -> list[bytes]:
        """Draw *count* instructions of each row of the backend's table; add those that trap."""
        samples = self._bench.samples
        cases = (case for row in samples.rows for case in self._bench.draw(row, count, random))
        return [case.sample.insn for case in cases] + list(samples.traps)

    def differences(self, codes: list[bytes], path: Path) -> list[str]:
        """List on which of *codes* the two do not agree, in a sentence each.

        Raises:
            NoLiveKernel: as for `verdicts`.
        """
        return [
            f"{self._describe(code)}: {ours} here, {theirs} by the running kernel"
            for code, (ours, theirs) in zip(codes, self.verdicts(codes, path), strict=True)
            if ours != theirs
        ]

    def verdicts(self, codes: list[bytes], path: Path) -> list[tuple[str, str]]:
        """Put *codes* into a program at *path*; give both verdicts on each, ours first.

        Raises:
            NoLiveKernel: the kernel does not run such programs.
        """
        slots, places = self._write(codes, path)
        most = self._info.max_insn_bytes
        ours = [
            self._verdict(slot[:most], CODE + at) for slot, at in zip(slots, places, strict=True)
        ]
        with loaded(path):
            theirs = self._live.verdicts(path, [PAGE_SIZE + at for at in places], ours)
        return list(zip(ours, theirs, strict=True))

    def misjudged_steps(self, count: int, random: Random, path: Path) -> list[str]:
        """List which of *count* samples of each row are not executed as the backend says.

        A stepped instruction, and no emulated one, has the kernel map its page of slots. Registers
        are those of a program that starts, so that operands in memory fault: in the slot.

        Raises:
            NoLiveKernel: as for `verdicts`.
        """
        bench = self._bench
        drawn = (case for row in bench.samples.rows for case in bench.draw(row, count, random))
        cases = [case for case in drawn if bench.refusal(case) is None]
        _, places = self._write([case.sample.insn for case in cases], path)
        found = list[str]()
        together = self._live.together
        for first in range(0, len(cases), together):
            some = list(zip(cases, places, strict=True))[first : first + together]
            with self._live.probing(path, [PAGE_SIZE + at for _, at in some]):
                for case, at in some:
                    with loaded(path) as program:
                        how = "xol" if program.steps_in_a_slot(CODE + at) else "emulate"
                    said = bench.mechanism(case)
                    if how != said:
                        found.append(
                            f"{bench.describe(case)}: {said} here, {how} by the running kernel"
                        )
        return found

    def _write(self, codes: list[bytes], path: Path) -> tuple[list[bytes], range]:
        """Write a program; give the codes as they lie in it, and where in its text they do."""
        swbp = self._info.swbp_insn
        start = swbp * (self.stride // len(swbp))  # where the program would run, if it ever did
        slots = [code.ljust(self.stride, b"\0") for code in (start, *codes)]
        write_program(path, self._info, b"".join(slots))
        return slots[1:], range(self.stride, self.stride * len(slots), self.stride)

    def _verdict(self, insn: bytes, vaddr: int) -> str:
        refusal = self._bench.refusal_of(insn, Vaddr(vaddr))
        return ACCEPTED if refusal is None else refusal.errno.name

    def _describe(self, code: bytes) -> str:
        insn = code.ljust(self.stride, b"\0")[: self._info.max_insn_bytes]
        abi = self._info.abi
        text = self._bench.hook.arch_insn_text(insn=insn, vaddr=Vaddr(CODE), abi=abi)
        return f"{text} ({self._bench.hook.arch_format_insn(insn=insn, abi=abi)})"
