"""Watch a plugin: whatever one of its hooks does that it must not is one line with its name."""

import ast
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib import import_module
from inspect import get_annotations, getdoc, getsource
from traceback import extract_tb
from types import NoneType, UnionType
from typing import Any, Final, NewType, Union, cast, get_args, get_origin, get_type_hints

from uprobes_sim import errors, hookspecs
from uprobes_sim.arch import ArchUprobe, Regs
from uprobes_sim.cpu import Cpu, Exit
from uprobes_sim.errors import PluginError
from uprobes_sim.hookspecs import RequiredHooks, WeakHooks
from uprobes_sim.memory import Mm, PageFault

_RAISES: Final = re.compile(r"Raises:\n((?:    .*\n?)+)")
_EXCEPTION: Final = re.compile(r"^    ([\w, ]+):", re.MULTILINE)


class Fault(PluginError):
    """The plugin under test has raised, answered nonsense or not answered in time."""


class Guard:
    """Stands between the suite and one plugin."""

    def __init__(self, name: str, seconds: float) -> None:
        """Allow each call *seconds*."""
        self.name = name
        self.seconds = seconds
        self.asked = Counter[str]()
        """Calls by hook."""
        self._calls: list[tuple[str, float]] = []
        self._last = "nothing"

    def overdue(self) -> tuple[str, float] | None:
        """Name the call that has taken too long, and for how long it has."""
        if not self._calls:
            return None
        hook, since = self._calls[-1]
        taken = time.monotonic() - since
        return (hook, taken) if taken > self.seconds else None

    def late(self, hook: str) -> Fault:
        """Say that *hook* has not answered."""
        return self._fault(hook, f"has not answered within {self.seconds:g} s")

    def endless(self) -> Fault:
        """Say that a program does not come to its end, though every hook answers."""
        return Fault(f"plugin {self.name}: a program does not end; {self._last} was asked last")

    def _fault(self, hook: str, what: str) -> Fault:
        return Fault(f"plugin {self.name}: {hook} {what}")

    def wrap(self, hook: str, answer: Callable[..., object]) -> Callable[..., object]:
        """Watch every call of *hook*."""
        wanted, allowed = _wanted(hook), _may_raise(hook)

        @wraps(answer)
        def watched(*args: object, **named: object) -> object:
            with self._in(hook, allowed):
                found = answer(*args, **named)
            if not fits(found, wanted):
                what = f"answers {_describe(found)}, not {_name(wanted)}"
                raise self._fault(hook, what)
            return _WatchedCpu(self, cast(Cpu, found)) if hook == "arch_cpu" else found

        return watched

    @contextmanager
    def _in(self, hook: str, allowed: tuple[type[Exception], ...]) -> Iterator[None]:
        """Be inside *hook*, which may raise *allowed*."""
        self.asked[hook] += 1
        self._last = hook
        self._calls.append((hook, time.monotonic()))
        try:
            yield
        except Exception as exc:
            if isinstance(exc, (Fault, *allowed)):
                raise
            raise self._fault(hook, f"raised {_told(exc)}") from exc
        finally:
            self._calls.pop()


class _WatchedCpu:
    """An engine, watched as hooks are."""

    def __init__(self, guard: Guard, cpu: Cpu) -> None:
        self._guard = guard
        self._cpu = cpu

    @property
    def insns(self) -> int:
        return self._cpu.insns

    def run(self, regs: Regs, mm: Mm, budget: int) -> Exit:
        return self._call("run", regs, mm, budget)

    def step(self, regs: Regs, mm: Mm) -> Exit:
        return self._call("step", regs, mm)

    def _call(self, method: str, *args: object) -> Exit:
        hook = f"arch_cpu's {method}"
        with self._guard._in(hook, (errors.EngineError,)):
            found: object = getattr(self._cpu, method)(*args)
        if not isinstance(found, Exit):
            raise self._guard._fault(hook, f"answers {_describe(found)}, not Exit")
        return found

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  the engine's own
        return getattr(self._cpu, name)


def _told(exc: Exception) -> str:
    """Write an exception in one line, and where it comes from."""
    text = " ".join(f"{type(exc).__name__}: {exc}".split()).removesuffix(":")
    last = extract_tb(exc.__traceback__)[-1]
    return f"{text} ({last.name}, {last.filename.rpartition('/')[2]} line {last.lineno})"


def _describe(value: object) -> str:
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return f"{value!r:.40}"
    return f"a {type(value).__name__}"


@cache
def _question(hook: str) -> Callable[..., object]:
    return cast(Callable[..., object], vars(RequiredHooks).get(hook) or vars(WeakHooks)[hook])


@cache
def _names() -> dict[str, object]:
    """Import what the questions are typed with: they import nothing but for type checkers."""
    imports = [
        node
        for node in ast.walk(ast.parse(getsource(hookspecs)))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    return {
        alias.name: getattr(import_module(node.module or ""), alias.name)
        for node in imports
        for alias in node.names
    }


@cache
def _wanted(hook: str) -> Any:  # noqa: ANN401  annotations are anything
    return get_type_hints(_question(hook), _names())["return"]


@cache
def _may_raise(hook: str) -> tuple[type[Exception], ...]:
    """Read in the question what its answer may raise. A page that is not there may be, anywhere."""
    documented = _RAISES.search((getdoc(_question(hook)) or "") + "\n")
    names = ",".join(_EXCEPTION.findall(documented[1])).split(",") if documented else []
    known = {**vars(errors), "PageFault": PageFault, "ValueError": ValueError}
    return (PageFault, *(known[name.strip()] for name in names))


def fits(value: object, wanted: Any) -> bool:  # noqa: ANN401
    """Tell whether *value* is what an annotation asks for."""
    if wanted is Any or wanted is object:
        return True
    if wanted is NoneType:
        return value is None
    if isinstance(wanted, NewType):
        return fits(value, wanted.__supertype__)
    if getattr(wanted, "_is_protocol", False):
        own = all(hasattr(value, name) for name in _members(wanted))
        parts = (value.insn, value.ixol) if own and wanted is ArchUprobe else ()  # type: ignore[attr-defined]
        return own and all(isinstance(part, bytes) for part in parts)
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is None:
        return isinstance(value, wanted)
    return isinstance(value, origin) and _fit(value, origin, parts)


@cache
def _members(protocol: type) -> tuple[str, ...]:
    """Name what an object must have that is to be a *protocol*."""
    named = {**get_annotations(protocol), **vars(protocol)}
    return tuple(name for name in named if not name.startswith("_"))


def _fit(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:  # noqa: ANN401
    """Compare the members of a container."""
    if origin is dict:
        key, item = parts
        return all(fits(k, key) and fits(v, item) for k, v in value.items())
    if origin is tuple:
        return all(fits(each, parts[0]) for each in value)
    return True


def _name(wanted: Any) -> str:  # noqa: ANN401
    if get_origin(wanted) is not None or isinstance(wanted, UnionType):
        return re.sub(r"[\w.]*\.", "", str(wanted))
    return str(getattr(wanted, "__name__", wanted))
