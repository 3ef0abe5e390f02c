"""Objects and tables on standard output, in the forms that all commands share."""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

from uprobes_sim_cli.streams import STDOUT, writing

Json = dict[str, object]

HOW: Final = {"emulate": "emulated", "xol": "stepped out of line"}
"""How a probed instruction is executed, in words."""

_UNBROKEN: Final = 10_000
"""Width of a table that a program reads."""

_NO_UNICODE: Final = re.compile("[\ud800-\udfff]")
"""Of a file's name, say, that is not UTF-8."""

_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


def json_line(value: Json) -> str:
    """Write one object in one line; what is not ASCII stays, what is no Unicode becomes U+FFFD."""
    return _NO_UNICODE.sub("\ufffd", _encode(value))


def alarm(line: str) -> str:
    """Make a line loud where a person reads it on a terminal."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return line
    return f"\x1b[1;31m{line}\x1b[0m"


def print_objects(objects: Sequence[Json], *, array: bool) -> None:
    """Print *objects* as one array, or one a line."""
    lines = [json_line(each) for each in objects]
    if array:
        text = "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
    else:
        text = "".join(f"{line}\n" for line in lines)
    with writing(STDOUT):
        sys.stdout.buffer.write(text.encode())


def print_table(objects: Sequence[Json]) -> None:
    """Print *objects* as a table; a column that would be empty is left out."""
    from rich.console import Console
    from rich.table import Table

    columns = [key for key in objects[0] if any(each[key] for each in objects)] if objects else []
    table = Table(*columns, box=None, pad_edge=False)
    for each in objects:
        table.add_row(*(_cell(each[column]) for column in columns))
    width = None if sys.stdout.isatty() else _UNBROKEN
    with writing(STDOUT):
        Console(highlight=False, width=width).print(table)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)
