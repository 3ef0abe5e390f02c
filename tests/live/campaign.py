"""Judge x86 by the running kernel: `tox -e campaign-x86`. Wants root, and a kernel 6.18."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from live.blocks import SLOT_BYTES, Blocks, write_blocks
from live.draw_vector import missing
from live.encodings import every_encoding, random_encodings
from live.execution import different, live, predicted_slots, simulated, without_probes
from live.files import read_code, system_files
from live.kernel import Bits, unfit
from live.verdicts import disagreements, file_disagreements
from uprobes_sim.conformance.live_kernel import BpfKernel, LiveKernel
from uprobes_sim.session import Options

_BITS: Final[tuple[Bits, ...]] = (64, 32)
_CHANCE: Final = 500_000
_BLOCKS: Final = 3_000
"""In one program."""
_EXAMPLES: Final = 20
_COMPARED: Final = (
    "emulated or stepped, and the copy in the slot",
    "registers, flags and memory under probes",
    "the slot, as the simulated program reads it",
    "registers, flags and memory of the program without probes, to ours without defects",
)


@dataclass
class Row:
    """What was asked, how often, and where the two sides differ."""

    what: str
    count: int
    distinct: int
    differences: list[str] = field(default_factory=list)


@dataclass
class Campaign:
    """All that came out."""

    verdicts: list[Row] = field(default_factory=list)
    files: list[Row] = field(default_factory=list)
    executed: list[Row] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """Count them."""
        rows = (*self.verdicts, *self.files, *self.executed)
        return sum(len(row.differences) for row in rows)


def main(
    page: Annotated[Path, typer.Option("--report", help="The summary to write.")],
    seed: Annotated[int, typer.Option(help="What is left to chance is drawn with it.")] = 618,
    programs: Annotated[int, typer.Option(help="Programs of blocks, of each kind.")] = 3,
) -> None:
    """Ask the running kernel about every encoding by rule, and compare what is executed."""
    reason = unfit()
    if reason is not None:
        raise typer.BadParameter(reason)
    try:
        kernel = BpfKernel()
    except OSError as exc:
        raise typer.BadParameter(f"no uprobes by BPF links: {exc}; run it as root") from exc
    campaign, start = Campaign(), time.monotonic()
    with TemporaryDirectory() as folder:
        ask_verdicts(campaign, kernel, Path(folder), seed)
        ask_files(campaign, kernel, Path(folder))
        for bits, vectors in product(_BITS, (False, True)):
            seeds = range(seed, seed + programs)
            execute(campaign, kernel, Path(folder), seeds, bits, vectors=vectors)
    page.write_text(report(campaign, seed, (time.monotonic() - start) / 60))
    typer.echo(f"{campaign.differences} differences: {page}")
    raise typer.Exit(campaign.differences != 0)


def ask_verdicts(campaign: Campaign, kernel: LiveKernel, folder: Path, seed: int) -> None:
    """Compare verdicts on encodings by rule and by chance."""
    for bits in _BITS:
        rules = every_encoding(bits)
        rules["by chance"] = random_encodings(seed + bits, _CHANCE)
        for name, codes in rules.items():
            row = Row(f"{bits}-bit: {name}", len(codes), len(set(codes)))
            for found in disagreements(codes, bits, kernel, folder):
                row.differences.append(f"{bits}-bit {found.code}: {found.live}, ours {found.ours}")
            _keep(campaign.verdicts, row)


def ask_files(campaign: Campaign, kernel: LiveKernel, folder: Path) -> None:
    """Compare verdicts on every instruction of this machine's libraries."""
    for path in system_files():
        code = read_code(path)
        distinct = len({code.insn(offset) for offset in code.offsets})
        row = Row(path.name, len(code.offsets), distinct)
        for found in file_disagreements(code, code.offsets, kernel, folder):
            row.differences.append(f"{path.name} {found.code}: {found.live}, ours {found.ours}")
        _keep(campaign.files, row)


def execute(
    campaign: Campaign,
    kernel: LiveKernel,
    folder: Path,
    seeds: Sequence[int],
    bits: Bits,
    *,
    vectors: bool,
) -> None:
    """Compare how blocks are executed, and what they leave."""
    name = f"{bits}-bit{', VEX' if vectors else ''}"
    if vectors and missing():
        return typer.echo(f"{name} left out: no {' '.join(sorted(missing()))}", err=True)
    rows, codes = [Row(f"{name}: {what}", 0, 0) for what in _COMPARED], set[bytes]()
    for seed in seeds:
        blocks = write_blocks(folder / f"blocks-{bits}", bits, seed, _BLOCKS, vectors=vectors)
        codes.update(drawn.code for drawn in blocks.drawn)
        for row, found in zip(rows, compare(blocks, kernel), strict=True):
            row.count += len(blocks.drawn)
            row.distinct = len(codes)
            row.differences += found
    for row in rows:
        _keep(campaign.executed, row)


def compare(blocks: Blocks, kernel: LiveKernel) -> tuple[list[str], ...]:
    """List the instructions that differ in each of the respects of `_COMPARED`."""
    theirs, bare = live(blocks, kernel), without_probes(blocks)
    ours, _ = simulated(blocks, Options(compare=False))
    right, _ = simulated(blocks, Options(compare=False, errata="none"))
    return (
        list(different(blocks, predicted_slots(blocks), theirs.slots, SLOT_BYTES)),
        list(different(blocks, ours.state, theirs.state)),
        list(different(blocks, ours.slots, theirs.slots, SLOT_BYTES)),
        list(different(blocks, right.state, bare.state)),
    )


def _keep(rows: list[Row], row: Row) -> None:
    rows.append(row)
    typer.echo(f"{row.what}: {row.count:,}, {len(row.differences)} differences", err=True)


def report(campaign: Campaign, seed: int, minutes: float) -> str:
    """Write the page."""
    every = (*campaign.verdicts, *campaign.files, *campaign.executed)
    asked = sum(row.count for row in campaign.verdicts)
    lines = [
        "# x86 against the running kernel",
        "",
        "Verdicts (accepted, ENOEXEC, ENOTSUPP) by registering a probe with a BPF link of type",
        "uprobe_multi on code that a running task maps; how an instruction is executed by the slot",
        "that it leaves; its outcome by what a program shows of registers and memory under the",
        "kernel's probes. Written by `tox -e campaign-x86`; `tests/live/encodings.py` has the",
        "rules, `tests/live/draw.py` the instructions that are executed.",
        "",
        f"- Linux {platform.release()} on {_processor()}; seed {seed}; {minutes:.0f} minutes",
        f"- {asked:,} verdicts on encodings, {sum(row.count for row in campaign.files):,} on"
        " instructions in place",
        f"- {sum(row.distinct for row in campaign.executed) // len(_COMPARED):,} distinct"
        " instructions executed",
        f"- {campaign.differences:,} differences",
        "",
        *_table("Verdicts by rule", "encodings", campaign.verdicts),
        *_table("Verdicts in place", "file", campaign.files),
        *_table("Execution", "compared", campaign.executed),
    ]
    wrong = [f"- `{text}`" for row in every for text in row.differences[:_EXAMPLES]]
    if wrong:
        lines += ["## Differences", "", *wrong, ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(title: str, first: str, rows: Sequence[Row]) -> list[str]:
    return [
        f"## {title}",
        "",
        f"| {first} | number | distinct | differences |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {row.what} | {row.count:,} | {row.distinct:,} | {len(row.differences):,} |"
            for row in rows
        ),
        "",
    ]


def _processor() -> str:
    """Name the processor as the kernel does, with what of AVX it has."""
    fields = dict[str, str]()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    has = [name for name in ("avx", "avx2", "avx512f", "xop") if name in fields["flags"].split()]
    return f"{fields['model name']} ({' '.join(has) or 'no AVX'})"


if __name__ == "__main__":
    typer.run(main)
