"""Which instructions may be probed: our answer beside the running kernel's."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from live.encodings import Bits, every_encoding, random_encodings
from live.files import read_code, system_files
from live.verdicts import Ours, disagreements, file_disagreements
from uprobes_sim.conformance.live_kernel import LiveKernel


@pytest.mark.parametrize("bits", [64, 32])
def test_encodings_by_chance_are_judged_alike(
    bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    codes = random_encodings(seed=2026 + bits, count=6_000)

    assert list(disagreements(codes, bits, kernel, tmp_path)) == []


@pytest.mark.parametrize("bits", [64, 32])
def test_encodings_by_rule_are_judged_alike(bits: Bits, kernel: LiveKernel, tmp_path: Path) -> None:
    rules = every_encoding(bits)
    codes = [code for rule in rules.values() for code in Random(618).sample(rule, 500)]

    assert len(set(codes)) == 500 * len(rules)
    assert list(disagreements(codes, bits, kernel, tmp_path)) == []


@pytest.mark.parametrize("bits", [64, 32])
def test_a_sample_has_every_verdict(bits: Bits) -> None:
    """Or nothing that the kernel says could be wrong."""
    judge = Ours(bits)
    found = Counter(judge.verdict(code) for code in random_encodings(seed=2026 + bits, count=6_000))

    assert set(found) == {"accepted", "ENOTSUPP", "ENOEXEC"}
    assert min(found.values()) > 100


def test_a_library_is_judged_alike_where_it_lies(kernel: LiveKernel, tmp_path: Path) -> None:
    found = [path for path in system_files() if path.name.startswith("libm")]
    assert found, "this process has no libm"
    code = read_code(found[0])
    sample = sorted(Random(618).sample(code.offsets, 4_000))

    assert list(file_disagreements(code, sample, kernel, tmp_path)) == []


@pytest.mark.campaign
@pytest.mark.parametrize("bits", [64, 32])
def test_many_encodings_by_chance_are_judged_alike(
    bits: Bits, kernel: LiveKernel, tmp_path: Path
) -> None:
    codes = random_encodings(seed=6_18 + bits, count=100_000)

    assert list(disagreements(codes, bits, kernel, tmp_path)) == []
