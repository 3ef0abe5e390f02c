"""core/uprobes_sim/fetch_args.py and languages.py: what Linux 6.18 has answered to these lines."""

import pytest

from event_lines import REFUSED, TAKEN
from uprobes_sim.errno import Errno
from uprobes_sim.errors import ProbeError
from uprobes_sim.languages import read_question


@pytest.mark.parametrize("line", TAKEN)
def test_the_kernel_takes_the_line(line: str) -> None:
    question = read_question(line)

    assert question.refusal is None
    assert question.spec is not None
    assert question.spec.offset == 0x10


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_the_kernel_refuses_the_line(line: str, message: str) -> None:
    refusal = read_question(line).refusal

    assert refusal is not None
    assert refusal.errno is Errno.EINVAL
    assert refusal.reason == f"error_log: {message}"


@pytest.mark.parametrize("line", ["P /f:0x10", "p/f:0x10", "-:g/e"])
def test_what_is_no_line_of_a_probe_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(ProbeError, match="is no probe"):
        read_question(line)
