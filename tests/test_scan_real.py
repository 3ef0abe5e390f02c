"""Array and single answers over what compilers and distributions really ship."""

import os
from pathlib import Path
from typing import Final

import pytest

from scan_equal import assert_equal
from uprobes_sim.choice import Options, link_machine
from uprobes_sim.scan.code import read_code
from uprobes_sim.scan.scanner import Judge
from uprobes_sim.scan.source import FileSource

FILES: Final = {
    "cc1 for ppc64el": "UPROBES_SIM_CC1_PPC64EL",
    "cc1 for amd64": "UPROBES_SIM_CC1_AMD64",
    "libcrypto for ppc64el": "UPROBES_SIM_LIBCRYPTO_PPC64EL",
    "libcrypto for amd64": "UPROBES_SIM_LIBCRYPTO_AMD64",
}
"""Variables that name the files; `.ci/run` sets them."""

EVERY: Final = 11
"""Of so many pieces one is compared, and of its instructions one of so many is judged by itself."""


@pytest.mark.slow
@pytest.mark.parametrize("variable", FILES.values(), ids=FILES)
def test_each_instruction_is_judged_as_by_itself(variable: str) -> None:
    name = os.environ.get(variable)
    if name is None:
        pytest.skip(f"{variable} names no file; .ci/run fetches it")
    code = read_code(FileSource(Path(name)), name)
    judge = Judge(link_machine(name, code.e_machine, code.abi, Options()), [Options()])

    compared = 0
    for number, part in enumerate(judge.parts(code)):
        if number % EVERY == 1:
            assert_equal(judge, part, step=EVERY)
            compared += 1

    assert compared > 0
