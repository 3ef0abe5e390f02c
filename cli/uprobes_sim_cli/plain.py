"""Options and arguments whose text is taken as it was typed, without importing pydantic.

Typer from 0.29 on turns every value by pydantic, which takes as long to import as all else that
`check` needs. Most values here are text, lists of text, flags and paths, with which there is
nothing to do. Whatever is more is left to typer, and so are older releases, which have no pydantic.
"""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any, Final

_HELD: Final = "_runtime_param"
"""Where typer keeps what turns a parameter's value, once it was needed."""
_PLAIN: Final = (str, str | None, bool, list[str], list[str] | None)
_PATHS: Final = (Path, Path | None, list[Path])


class _AsTyped:
    """Turns the values with which there is nothing to do, and sends for typer with the others."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401  typer's own types
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if isinstance(value, Enum | bool):
            return value
        if param.type_descriptor.annotation in _PLAIN:
            return list(value) if several else value
        if param.type_descriptor.annotation in _PATHS:
            return [Path(each) for each in value] if several else Path(value)
        setattr(param, _HELD, None)
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def take_as_typed(params: Iterable[object]) -> None:
    """Spare *params* what they do not need."""
    for param in params:
        if getattr(param, _HELD, param) is None and hasattr(param, "type_descriptor"):
            setattr(param, _HELD, _AsTyped())
