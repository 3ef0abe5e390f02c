"""core/uprobes_sim/fetch_args.py and languages.py: what Linux 6.18 has answered to these lines."""

import pytest

from uprobes_sim.errno import Errno
from uprobes_sim.errors import ProbeError
from uprobes_sim.languages import read_question

NAME = "must follow the same rules as C identifiers"


@pytest.mark.parametrize(
    "line",
    [
        "p /f:0x10 a=%di",
        "p /f:0x10 %di",
        "p /f:0x10 $stack $comm %di $stack0",
        "p /f:0x10 a=+0(%di):string",
        "p /f:0x10 a=+8(+0(%di)):u64",
        "p /f:0x10 a=+u8(+0(%di)):ustring",
        "p /f:0x10 a=-8(%di):x8[3]",
        "p /f:0x10 a=+0(%di):string[2]",
        "p /f:0x10 a=%ax:b4@4/32",
        "p /f:0x10 a=%di:char",
        "p /f:0x10 a=@0x10:string",
        "p /f:0x10 a=@+0x10",
        "p /f:0x10 a=$COMM:string",
        r'p /f:0x10 a=\"ab":string',
        r"p /f:0x10 a=\5:u8",
        f"p /f:0x10 {'x' * 32}=%di",
        "p /f:0x10%return a=$retval",
        "r /f:0x10 a=+0($retval):string",
        "r4 /f:0x10",
        "p4 /f:0x10",
        "pp /f:0x10",
        "p:g.e /f:0x10",
    ],
)
def test_the_kernel_takes_the_line(line: str) -> None:
    question = read_question(line)

    assert question.refusal is None
    assert question.spec is not None
    assert question.spec.offset == 0x10


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("p /f:0x10 =%di", "Argument name is not specified"),
        ("p /f:0x10 a=", "No argument expression"),
        (f"p /f:0x10 {'x' * 33}=%di", "Argument name is too long"),
        ("p /f:0x10 9=%di", f"Argument name {NAME}"),
        ("p /f:0x10 a=%di a=%si", "This argument name is already used"),
        ("p /f:0x10 arg2=%di %si", "This argument name is already used"),
        ("p /f:0x10 __probe_ip=%di", "This argument name is already used"),
        ("p /f:0x10 common_pid=%di", "This argument name is already used"),
        ("p /f:0x10 a=%di:u99", "Unknown type is specified"),
        ("p /f:0x10 a=%di:symbol", "Unknown type is specified"),
        ("p /f:0x10 a=%di:u64:u8", "Unknown type is specified"),
        ("p /f:0x10 a=%di:string", "String accepts only memory argument"),
        ("p /f:0x10 a=$stack0:string", "String accepts only memory argument"),
        ("p /f:0x10 a=+0(%di", "Dereference brace is not closed"),
        ("p /f:0x10 a=+8", "Dereference needs a brace"),
        ("p /f:0x10 a=+x(%di)", "Invalid dereference offset"),
        ("p /f:0x10 $retval", "$retval is not available on probe"),
        ("p /f:0x10 a=+0($retval):string", "$retval is not available on probe"),
        ("p /f:0x10 a=$arg1", "$arg* can be used only on function entry or exit"),
        ("p /f:0x10 a=$stackx", "Invalid $-variable specified"),
        ("p /f:0x10 a=5", "Invalid fetch argument"),
        ("p:a/b/c /f:0x10", f"Event name {NAME}"),
        ("p:a.b/c /f:0x10", f"Group name {NAME}"),
        ("p:a.b.c /f:0x10", f"Event name {NAME}"),
        ("p:9 /f:0x10 a=5", f"Event name {NAME}"),
    ],
)
def test_the_kernel_refuses_the_line(line: str, message: str) -> None:
    refusal = read_question(line).refusal

    assert refusal is not None
    assert refusal.errno is Errno.EINVAL
    assert refusal.reason == f"error_log: {message}"


@pytest.mark.parametrize("line", ["P /f:0x10", "p/f:0x10", "-:g/e"])
def test_what_is_no_line_of_a_probe_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(ProbeError, match="is no probe"):
        read_question(line)
