"""cli/uprobes_sim_cli/group.py"""

import pytest
import typer

from uprobes_sim_cli.group import hoist

OPTIONS = {"--arch", "--version"}


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        pytest.param("run x --arch a -p y", "--arch a run x -p y", id="behind"),
        pytest.param("run --arch=a x", "--arch=a run x", id="with an equals sign"),
        pytest.param("run x -- --arch a", "run x -- --arch a", id="the program's own"),
        pytest.param("run --version x", "--version run x", id="a flag"),
    ],
)
def test_global_options_come_first_wherever_they_were_typed(typed: str, read: str) -> None:
    assert hoist(typed.split(), OPTIONS) == read.split()


def test_an_option_without_its_value_does_not_take_the_command_for_it() -> None:
    with pytest.raises(typer.BadParameter, match="--arch wants a value"):
        hoist(["run", "x", "--arch"], OPTIONS)
