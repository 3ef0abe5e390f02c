"""cli/uprobes_sim_cli/arches.py"""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from uprobes_sim_cli.app import app


def invoke(*args: str) -> Any:
    return CliRunner().invoke(app, ["arches", *args])


def test_all_backends_are_listed_or_one() -> None:
    everything = json.loads(invoke("--format", "json").stdout)
    one = json.loads(invoke("--format", "json", "--arch", "x86").stdout)

    assert {"powerpc", "x86"} <= {each["name"] for each in everything}
    assert one == [each for each in everything if each["name"] == "x86"]


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--arch", "nosuch", "no plugin is named nosuch; installed: "),
        ("--kernel", "99", "kernel 99 is not modelled; 3.5 to 6.18 are"),
        ("--kernel", "6", "'6' is no kernel release"),
        ("--kernel", "99.1", "kernel 99.1 is not modelled"),
    ],
)
def test_an_option_that_names_nothing_is_one_line(option: str, value: str, says: str) -> None:
    done = invoke(option, value)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"uprobes-sim: {says}")
    assert done.stderr.count("\n") == 1
