"""arches/x86/uprobes_sim_x86/scan.py and cutter.py"""

import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pytest

from scan_equal import assert_equal, parts, parts_of, random_bytes
from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options
from uprobes_sim.linker import link
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.scan.sweep import Piece
from uprobes_sim_x86.native import cutter_for_arrays, plain_cutter
from uprobes_sim_x86.scan import X86Sweeper

TEMPTING = bytes.fromhex("66f2f3673e2ef0480f0f0fc4c5628fd5414538906474")
"""Prefixes and escapes, which random bytes have too few of."""

LIBC = Path("/usr/lib/x86_64-linux-gnu/libc.so.6")


def judge(bits: Literal[32, 64], *kernels: str) -> Judge:
    options = [Options(kernel=kernel) for kernel in kernels or ("6.18",)]
    return Judge(link("x86", Abi(bits, "little")), options)


@pytest.mark.parametrize("bits", [32, 64])
def test_random_bytes_are_judged_as_one_by_one(bits: Literal[32, 64]) -> None:
    court = judge(bits, "6.18", "3.5")

    for part in parts(court, random_bytes(20_000, TEMPTING, seed=bits)):
        assert_equal(court, part)


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
@pytest.mark.parametrize("lead", ["48c5", "41c4e2e1", "8fe8", "d5", "0f38", "62f4"])
def test_what_older_decoders_read_otherwise_is_judged_as_one_by_one(lead: str, kernel: str) -> None:
    court = judge(64, kernel)

    for part in parts(court, random_bytes(5_000, bytes.fromhex(lead), seed=61)):
        assert_equal(court, part)


@pytest.mark.campaign
@pytest.mark.parametrize("bits", [32, 64])
def test_half_a_million_random_bytes_are_judged_as_one_by_one(bits: Literal[32, 64]) -> None:
    court = judge(bits)

    for part in parts(court, random_bytes(500_000, TEMPTING, seed=100 + bits)):
        assert_equal(court, part)


@pytest.mark.slow
def test_a_library_is_judged_as_one_by_one() -> None:
    court = judge(64, "6.18", "3.5")

    for part in parts_of(court, LIBC):
        assert_equal(court, part, step=23)


@pytest.mark.parametrize("bits", [32, 64])
def test_compiled_or_not_the_cutter_does_the_same(
    bits: Literal[32, 64], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_bytes(6_000, TEMPTING, seed=bits)
    piece = Piece(data, 0, 5_900, np.arange(0, 6_000, 500))
    compiled, plain = X86Sweeper(bits), X86Sweeper(bits)
    monkeypatch.setattr(plain, "_cutter", plain_cutter())

    first, second = compiled.sweep(piece), plain.sweep(piece)

    assert cutter_for_arrays().fast
    assert not plain_cutter().fast
    assert (first.at.tolist(), first.size.tolist()) == (second.at.tolist(), second.size.tolist())
    assert (first.form.tolist(), first.new) == (second.form.tolist(), second.new)


def test_forms_have_the_same_numbers_when_their_table_has_grown() -> None:
    sweeper, data = X86Sweeper(64), random_bytes(150_000, TEMPTING, seed=1)
    piece = Piece(data, 0, len(data), np.empty(0, np.int64))

    first = sweeper.sweep(piece)
    forms = first.form.copy()
    second = sweeper.sweep(piece)

    assert len(first.new) > 1 << 13
    assert not second.new
    assert np.array_equal(forms, second.form)


def test_what_reaches_over_a_known_start_is_no_instruction() -> None:
    data = bytes.fromhex("b8000000 90 90 c3".replace(" ", ""))
    piece = Piece(data, 0, len(data), np.array([4]))

    assert X86Sweeper(64).sweep(piece).at.tolist() == [4, 5, 6]


_WITHOUT_NEW_CODE: Final = """
import ctypes
from uprobes_sim_x86.native import cutter_for_arrays
fast = cutter_for_arrays().fast
cutter_for_arrays.cache_clear()
print(ctypes.CDLL(None).prctl(65, 1, 0, 0, 0), fast, cutter_for_arrays().fast)
"""
"""PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: no memory that can be written is executed, as SELinux."""


def test_where_memory_cannot_be_made_code_python_cuts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_NEW_CODE], capture_output=True, text=True, check=True
    )

    refused, *fast = done.stdout.split()
    if refused != "0":
        pytest.skip("the kernel has no PR_SET_MDWE (Linux 6.3)")
    assert fast == ["True", "False"]
