"""An array of instructions is judged as each of them is."""

from random import Random

import numpy as np
import pytest

from uprobes_sim.conformance.bench import CODE
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.errors import KernelError
from uprobes_sim.linker import Linked
from uprobes_sim.scan.sweep import Piece
from uprobes_sim.units import Vaddr

pytestmark = pytest.mark.claim("scan")


def piece(suite: Suite, linked: Linked, seed: str) -> tuple[Piece, list[bytes]]:
    """A piece of code of samples, some of every row, with random bytes in between."""
    info, bench = linked.info, suite.bench(linked)
    random = Random(f"{suite.choice.seed} {seed}")
    code, starts = b"", list[int]()
    for row in bench.samples.rows:
        for case in bench.draw(row, 1, random):
            starts.append(len(code))
            code += case.sample.insn
            code += random.randbytes(info.swbp_size * random.randrange(3))
    stop = len(code)
    code += bytes(info.max_insn_bytes)
    return Piece(code, CODE, stop, np.array(starts, np.int64)), [code[at:] for at in starts]


def answer(suite: Suite, linked: Linked, insn: bytes, vaddr: int) -> str:
    """What the kernel answers to a probe, how it would execute the instruction, and the harm."""
    bench, hook, abi = suite.bench(linked), linked.hook, linked.info.abi
    padded = insn[: linked.info.max_insn_bytes].ljust(linked.info.max_insn_bytes, b"\0")
    try:
        auprobe = bench.machine.uprobes.analyze_insn(padded, bench.code_mm, Vaddr(vaddr))
    except KernelError as exc:
        return exc.errno.name
    found = hook.arch_uprobe_mechanism(auprobe=auprobe, abi=abi, config=bench.config)
    warnings = hook.arch_uprobe_warnings(auprobe=auprobe, abi=abi, config=bench.config)
    return f"{found} {warnings}"


def test_instructions_of_a_form_have_one_answer(suite: Suite, linked: Linked) -> None:
    sweeper = linked.hook.arch_sweeper(abi=linked.info.abi, configs=(suite.bench(linked).config,))
    first = dict[int, str]()
    for round_ in range(3):
        code, _ = piece(suite, linked, f"scan {round_}")
        sweep = sweeper.sweep(code)
        for at, form in zip(sweep.at.tolist(), sweep.form.tolist(), strict=True):
            insn = code.code[at : at + linked.info.max_insn_bytes]
            found = answer(suite, linked, insn, CODE + at)
            assert found == first.setdefault(form, found), (
                f"{insn.hex()}: {found}, another of form {form}: {first[form]}"
            )


def test_an_array_is_cut_where_instructions_begin(suite: Suite, linked: Linked) -> None:
    """And each is as long as its flow says."""
    code, _ = piece(suite, linked, "cut")
    abi = linked.info.abi

    sweep = linked.hook.arch_sweeper(abi=abi, configs=(suite.bench(linked).config,)).sweep(code)

    sizes = dict(zip(sweep.at.tolist(), sweep.size.tolist(), strict=True))
    for at, size in sizes.items():
        insn = code.code[at : at + linked.info.max_insn_bytes]
        flow = linked.hook.arch_insn_flow(insn=insn, vaddr=Vaddr(CODE + at), abi=abi)
        assert flow.size == size, f"{insn.hex()} is {size} bytes long in an array, else {flow.size}"
    missing = set(code.starts.tolist()) - sizes.keys()
    assert not missing, f"{len(missing)} known instructions are not in the array"
