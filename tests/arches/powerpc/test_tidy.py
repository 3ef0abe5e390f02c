"""arches/powerpc/uprobes_sim_powerpc/tidy.py"""

import ast

import pytest

from uprobes_sim_powerpc.tidy import tidy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("_1 = g3; g4 = _1 + 1", "g4 = g3 + 1", id="read at the source"),
        pytest.param("_1 = g3; g3 = _1 + 1", "g3 = g3 + 1", id="read, then written"),
        pytest.param("_1 = g3 + g4; g5 = _1", "g5 = g3 + g4", id="written at the target"),
        pytest.param(
            "_1 = g3; g3 = 0; ca = _1 >> 1", "_1 = g3; g3 = 0; ca = _1 >> 1", id="changed too early"
        ),
        pytest.param(
            "_1 = g3 + 1; g3 = _1; c0 = _1 > 0",
            "_1 = g3 + 1; g3 = _1; c0 = _1 > 0",
            id="used again",
        ),
        pytest.param(
            "_1 = g3\nif c0:\n    g3 = 0\n    g4 = _1",
            "_1 = g3\nif c0:\n    g3 = 0\n    g4 = _1",
            id="changed inside",
        ),
        pytest.param("_1 = g3; _2 = g4; _3 = _1 + _2; g3 = _3", "g3 = g3 + g4", id="all at once"),
    ],
)
def test_copies_go_where_they_may(before: str, after: str) -> None:
    body = tidy(ast.parse(before).body)

    assert "\n".join(map(ast.unparse, body)) == ast.unparse(ast.parse(after))
