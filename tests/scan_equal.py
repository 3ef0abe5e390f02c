"""Holds what a sweep answers against what each instruction is answered by itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elf_maker import Elf, Segment
from uprobes_sim.scan.code import read_code
from uprobes_sim.scan.scanner import Judge, Part
from uprobes_sim.scan.source import BytesSource, FileSource
from uprobes_sim.scan.sweep import cut
from uprobes_sim.units import Vaddr
from uprobes_sim.verdict import Verdict


def random_bytes(count: int, tempting: bytes, seed: int) -> bytes:
    """Draw bytes, a quarter of them from *tempting*."""
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, count, dtype=np.uint8)
    chosen = rng.random(count) < 0.25
    data[chosen] = rng.choice(np.frombuffer(tempting, np.uint8), chosen.sum())
    return data.tobytes()


def key(answer: Verdict) -> Verdict:
    """Give what a form has of an answer: all, but of a refusal the words."""
    return answer._replace(reason="") if answer.verdict == "reject" else answer


def assert_equal(judge: Judge, part: Part, step: int = 1) -> None:
    """Judge each *step*th instruction of a part by itself, and compare."""
    abi, room, piece = judge.info.abi, judge.info.max_insn_bytes, part.piece
    ask = judge.hook.arch_insn_flow

    found, end = cut(piece, lambda insn: ask(insn=insn, vaddr=Vaddr(0), abi=abi).size, room)

    at = np.array(found, np.int64).reshape(-1, 2)
    assert np.array_equal(at[:, 0], part.sweep.at)
    assert np.array_equal(at[:, 1], part.sweep.size)
    assert end == part.sweep.end
    forms = part.sweep.form.tolist()
    for index in range(0, len(forms), step):
        insn, _, answers = judge.ask(part, index)
        learnt = judge.forms[forms[index]]
        assert list(map(key, answers)) == list(map(key, learnt)), insn.hex(" ")


def parts(judge: Judge, data: bytes) -> Iterator[Part]:
    """Sweep *data* as the code of a program."""
    info = judge.info
    elf = Elf((Segment(0x10000, data),), abi=info.abi, machine=min(info.elf_machines))
    return judge.parts(read_code(BytesSource(elf.build()), "random"))


def parts_of(judge: Judge, path: Path) -> Iterator[Part]:
    """Sweep a file."""
    return judge.parts(read_code(FileSource(path), str(path)))
