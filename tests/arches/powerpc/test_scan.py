"""arches/powerpc/uprobes_sim_powerpc/scan.py"""

import pytest

from scan_equal import assert_equal, parts, random_bytes
from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options
from uprobes_sim.linker import link
from uprobes_sim.scan.scanner import Judge
from uprobes_sim_powerpc.abi import ABIS

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
