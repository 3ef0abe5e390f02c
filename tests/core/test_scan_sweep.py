"""core/uprobes_sim/scan/sweep.py"""

import numpy as np

from toy_arch import ABI, LI, NOP, TRAP, asm
from toy_arch import linked as link_toy
from uprobes_sim.scan.sweep import Piece, cut

NOWHERE = np.empty(0, np.int64)


def test_a_backend_that_says_nothing_has_each_instruction_asked_about() -> None:
    sweeper = link_toy().hook.arch_sweeper(abi=ABI, configs=())
    code = asm((NOP,), (NOP,), (LI, 1, 0, 5)) + TRAP

    first = sweeper.sweep(Piece(code, 0x1000, len(code), NOWHERE))
    second = sweeper.sweep(Piece(code, 0x1000, len(code), NOWHERE))

    assert first.at.tolist() == [0, 4, 8, 12]
    assert first.size.tolist() == [4] * 4
    assert (first.form.tolist(), second.form.tolist()) == ([0, 1, 2, 3], [4, 5, 6, 7])
    assert first.new == tuple(("", index) for index in range(4))
    assert first.end == len(code)


def test_bytes_before_a_known_start_are_no_instruction() -> None:
    piece = Piece(bytes(32), 0, 16, np.array([2, 12]))

    found, end = cut(piece, lambda insn: 4, 8)

    assert found == [(2, 4), (6, 4), (12, 4)]
    assert end == 16


def test_the_last_instruction_may_reach_over_the_end() -> None:
    found, end = cut(Piece(bytes(32), 0, 10, NOWHERE), lambda insn: 4, 8)

    assert (found[-1], end) == ((8, 4), 12)


def test_what_is_cut_off_is_measured_with_zeros() -> None:
    seen = list[bytes]()

    def measure(insn: bytes) -> int:
        seen.append(insn)
        return 2

    cut(Piece(b"\1\2\3", 0, 3, NOWHERE), measure, 4)

    assert seen == [b"\1\2\3\0", b"\3\0\0\0"]
