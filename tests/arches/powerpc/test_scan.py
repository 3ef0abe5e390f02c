"""arches/powerpc/uprobes_sim_powerpc/scan.py and relevance.py"""

import numpy as np
import pytest

from elf_programs import program
from scan_equal import assert_equal, parts, parts_of, random_bytes
from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options
from uprobes_sim.linker import link
from uprobes_sim.loader import load
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.scan.sweep import Piece
from uprobes_sim_powerpc.abi import ABIS
from uprobes_sim_powerpc.scan import PowerpcSweeper

TEMPTING = bytes.fromhex("7c4c7d041006f0f8")
"""Bytes that words of the larger opcodes and prefixes begin with."""


def judge(abi: Abi, *kernels: str, cpu: str = "power10") -> Judge:
    options = [Options(kernel=kernel, cpu=cpu) for kernel in kernels or ("6.18",)]
    return Judge(link("powerpc", abi), options)


@pytest.mark.parametrize("abi", ABIS, ids=str)
def test_random_words_are_judged_as_one_by_one(abi: Abi) -> None:
    court = judge(abi, "6.18", "6.1", "3.7")

    for part in parts(court, random_bytes(40_000, TEMPTING, seed=abi.bits)):
        assert_equal(court, part)


@pytest.mark.parametrize("cpu", ["power8", "power9"])
def test_so_they_are_on_other_processors(cpu: str) -> None:
    court = judge(Abi(64, "little"), "6.1", cpu=cpu)

    for part in parts(court, random_bytes(20_000, TEMPTING, seed=3)):
        assert_equal(court, part)


@pytest.mark.campaign
@pytest.mark.parametrize("abi", ABIS, ids=str)
def test_half_a_million_random_words_are_judged_as_one_by_one(abi: Abi) -> None:
    court = judge(abi, "6.18")

    for part in parts(court, random_bytes(2_000_000, TEMPTING, seed=100 + abi.bits)):
        assert_equal(court, part, step=7)


@pytest.mark.parametrize("target", ["powerpc64le", "powerpc64", "powerpc"])
def test_a_program_is_judged_as_one_by_one(target: str) -> None:
    path = program(target, "floats")
    court = judge(load(path).abi)

    for part in parts_of(court, path):
        assert_equal(court, part, step=11)


def test_a_prefixed_instruction_is_one_unless_a_function_begins_in_it() -> None:
    words = [0x60000000, 0x06000000, 0x38600001, 0x06000000, 0x38600001, 0x4E800020]
    code = b"".join(word.to_bytes(4, "little") for word in words)
    sweeper = PowerpcSweeper(Abi(64, "little"), ())

    sweep = sweeper.sweep(Piece(code, 0, len(code), np.array([16])))

    assert sweep.at.tolist() == [0, 4, 16, 20]
    assert sweep.size.tolist() == [4, 8, 4, 4]


def test_code_at_an_odd_address_is_cut_all_the_same() -> None:
    sweeper = PowerpcSweeper(Abi(64, "little"), ())

    sweep = sweeper.sweep(Piece(bytes(16), 1, 10, np.empty(0, np.int64)))

    assert (sweep.at.tolist(), sweep.end) == ([0, 4, 8], 12)
