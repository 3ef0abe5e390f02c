"""`uprobes-sim step`."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from uprobes_sim import session
from uprobes_sim.emulate import Emulator, Stepped
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.explain import parse_insn
from uprobes_sim.linker import Linked
from uprobes_sim_cli import render
from uprobes_sim_cli.answers import STANDARD_INPUT, Answer, answer_all
from uprobes_sim_cli.app import Settings
from uprobes_sim_cli.options import link_bare, session_options

_RESULTS: Final = {
    1: "emulated by the kernel",
    0: "not emulated: it would be stepped out of line",
    -1: "neither emulated nor stepped",
}


@dataclass(frozen=True, slots=True)
class Question:
    """An instruction, and what it finds."""

    insn: str
    regs: dict[str, int] = field(default_factory=dict)
    mem: dict[int, bytes] = field(default_factory=dict)


def step(settings: Settings, insn: str, regs: Sequence[str], mem: Sequence[str]) -> int:
    """Let the kernel's emulation execute *insn*; answers 1 when it does not.

    *insn* may be `-`: JSON lines are read then, and the answer is 0.
    """
    options = session_options(settings)
    linked = link_bare(options)
    emulator = Emulator(linked, session.configure(linked, options))
    if insn == STANDARD_INPUT:
        if regs or mem:
            raise UprobesSimError("with - registers and memory come with each line")
        return answer_all(
            settings.format, [insn], lambda line: _execute(linked, emulator, _from_line(line))
        )
    question = Question(
        insn,
        _named(regs, "--reg NAME=VALUE"),
        _memory(_pair(each, "--mem ADDR=HEX") for each in mem),
    )
    got = _execute(linked, emulator, question)
    status = answer_all(settings.format, [insn], lambda _: got)
    return status or int(got.value["result"] != 1)


def _execute(linked: Linked, emulator: Emulator, question: Question) -> Answer:
    try:
        insn = parse_insn(linked, question.insn)
    except ValueError as exc:
        raise UprobesSimError(f"{question.insn!r} is no instruction: {exc}") from None
    done = emulator.step(insn, question.regs, question.mem)
    return Answer(_as_json(question.insn, done), lambda: _as_text(question.insn, done))


def _as_json(insn: str, done: Stepped) -> render.Json:
    """Give the object of a result; its keys are part of the interface."""
    return {
        "insn": insn,
        "result": done.result,
        "regs": render.registers(done.regs),
        "mem": {hex(vaddr): data.hex() for vaddr, data in done.mem.items()},
        "error": None,
    }


def _as_text(insn: str, done: Stepped) -> Iterator[str]:
    """Write a result for people."""
    yield f"{insn}  result {done.result}, {_RESULTS[done.result]}"
    for name, value in render.registers(done.regs).items():
        yield f"  {name:<8} {value}"
    for vaddr, data in done.mem.items():
        yield f"  {vaddr:#x}: {data.hex(' ')}"


def _named(pairs: Sequence[str], usage: str) -> dict[str, int]:
    named = dict[str, int]()
    for name, text in (_pair(each, usage) for each in pairs):
        value = _number(text)
        if named.setdefault(name, value) != value:
            raise UprobesSimError(f"{name} is given twice: {named[name]:#x} and {value:#x}")
    return named


def _memory(pairs: Iterable[tuple[object, object]]) -> dict[int, bytes]:
    memory = dict[int, bytes]()
    for at, data in ((_number(at), _bytes(data)) for at, data in pairs):
        if memory.setdefault(at, data) != data:
            raise UprobesSimError(f"memory at {at:#x} is given twice")
    return memory


def _pair(text: str, usage: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UprobesSimError(f"{text!r} is not {usage}")
    return name, value


def _from_line(line: str) -> Question:
    """Read one line of the filter.

    Raises:
        UprobesSimError: it is no question.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise UprobesSimError(f"this is no JSON: {exc}") from None
    if not isinstance(value, dict) or not isinstance(value.get("insn"), str):
        raise UprobesSimError('a question is an object with "insn", and may have "regs" and "mem"')
    if unknown := value.keys() - {"insn", "regs", "mem"}:
        raise UprobesSimError(f"a question has no {', '.join(sorted(unknown))}")
    regs, mem = value.get("regs", {}), value.get("mem", {})
    if not isinstance(regs, dict) or not isinstance(mem, dict):
        raise UprobesSimError('"regs" and "mem" are objects')
    return Question(
        value["insn"],
        {name: _number(each) for name, each in regs.items()},
        _memory(mem.items()),
    )


def _number(value: object) -> int:
    """Read an unsigned number: decimal, or hexadecimal with 0x."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str):
        try:
            number = int(value, 16 if value[:2].lower() == "0x" else 10)
        except ValueError:
            number = None
    if number is None or number < 0:
        raise UprobesSimError(f"{value!r} is no number; write 0x10 or 16")
    return number


def _bytes(value: object) -> bytes:
    try:
        return bytes.fromhex(value)  # type: ignore[arg-type]  # TypeError says so
    except (TypeError, ValueError):
        raise UprobesSimError(f"{value!r} are no bytes; write two digits each: 0011ff") from None
