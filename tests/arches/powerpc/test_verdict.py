"""arches/powerpc/uprobes_sim_powerpc/verdict.py"""

from typing import Literal

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.explain import Explainer
from uprobes_sim.linker import link
from uprobes_sim.session import Options
from uprobes_sim.verdict import Verdict

LE64 = Abi(64, "little")
BE64 = Abi(64, "big")
BE32 = Abi(32, "big")


def verdict(
    insn: str,
    abi: Abi = LE64,
    *,
    cpu: str | None = None,
    kernel: str | None = None,
    errata: Literal["linux", "none"] = "linux",
) -> Verdict:
    options = Options(cpu=cpu, kernel=kernel, errata=errata)
    explainer = Explainer(link("powerpc", abi), options)
    return explainer.explain(explainer.bare(insn)).verdict


@pytest.mark.parametrize(
    ("insn", "how", "rule"),
    [
        pytest.param("7fe00008", "reject", "powerpc.trap", id="trap"),
        pytest.param("7d8c0808", "reject", "powerpc.trap", id="tw"),
        pytest.param("0c000000", "reject", "powerpc.trap", id="twi"),
        pytest.param("08000000", "reject", "powerpc.trap", id="tdi"),
        pytest.param("44000002", "reject", "powerpc.single_step", id="sc"),
        pytest.param("4c000024", "reject", "powerpc.single_step", id="rfid"),
        pytest.param("38630001", "emulate", "powerpc.emulate.compute", id="addi"),
        pytest.param("80640000", "emulate", "powerpc.emulate.load", id="lwz"),
        pytest.param("4e800020", "emulate", "powerpc.emulate.branch", id="blr"),
        pytest.param("7c0802a6", "emulate", "powerpc.emulate.mfspr", id="mflr"),
        pytest.param("0600000038600001", "emulate", "powerpc.emulate.compute", id="paddi"),
        pytest.param("7c642e14", "xol", "powerpc.xol.overflow", id="addo"),
        pytest.param("fc22182a", "xol", "powerpc.xol.not_emulated", id="fadd"),
        pytest.param("7c6c42a6", "xol", "powerpc.xol.spr", id="mftb"),
        pytest.param("00000000", "xol", "powerpc.xol.unknown", id="zero"),
        pytest.param("4c800460", "xol", "powerpc.xol.not_emulated", id="bctar"),
        pytest.param("7ca02028", "xol", "powerpc.xol.kuap", id="lwarx"),
        pytest.param("e0c40000", "xol", "powerpc.xol.kuap", id="lq"),
        pytest.param("7c6305e6", "xol", "powerpc.xol.invalid", id="darn, L=3"),
        pytest.param("b8000010", "xol", "powerpc.xol.invalid", id="lmw r0,16(0)"),
        pytest.param("0610000038830001", "xol", "powerpc.xol.invalid", id="pla, two bases"),
        pytest.param("4e000420", "emulate", "powerpc.emulate.branch", id="bdnzctr, invalid"),
        pytest.param("7c0020ac", "xol", "powerpc.xol.kuap", id="dcbf"),
        pytest.param("7ca0212d", "emulate", "powerpc.emulate.stcx", id="stwcx."),
    ],
)
def test_words_of_each_kind(insn: str, how: str, rule: str) -> None:
    found = verdict(insn)

    assert (found.verdict, found.rule) == (how, rule)
    assert (found.errno is None) == (how != "reject")


@pytest.mark.parametrize(
    ("insn", "abi", "cpu", "kernel", "how"),
    [
        pytest.param("08000000", BE32, None, "5.13", "xol", id="tdi is no trap on 32 bits"),
        pytest.param("7ca02028", LE64, "power8", None, "emulate", id="lwarx, hash MMU"),
        pytest.param("7ca02028", LE64, "power9", "4.20", "emulate", id="lwarx before KUAP"),
        pytest.param("7ca02028", BE32, None, None, "emulate", id="lwarx on 32 bits"),
        pytest.param("7c632a12", LE64, "power8", None, "xol", id="modud is newer than POWER8"),
        pytest.param("7c632a12", BE64, "power9", None, "emulate", id="modud, big-endian"),
        pytest.param("44000002", LE64, None, "5.13", "emulate", id="sc before 5.19"),
    ],
)
def test_a_verdict_depends_on_the_machine(
    insn: str, abi: Abi, cpu: str | None, kernel: str | None, how: str
) -> None:
    assert verdict(insn, abi, cpu=cpu, kernel=kernel).verdict == how


def test_bctar_is_emulated_when_nothing_goes_wrong() -> None:
    assert verdict("4c800460", errata="none").rule == "powerpc.emulate.branch"


@pytest.mark.parametrize(
    ("insn", "kernel", "cpu", "warnings"),
    [
        pytest.param("3bff0001", "6.1", None, ["powerpc.lost_nonvolatile"], id="addi r31"),
        pytest.param("3bff0001", "6.12", None, [], id="addi r31, repaired"),
        pytest.param("386d0001", "6.1", None, [], id="addi r3 from r13"),
        pytest.param("7fe31b78", "6.1", None, [], id="mr r3,r31 only reads"),
        pytest.param("7c7f1b78", "6.1", None, ["powerpc.lost_nonvolatile"], id="mr r31,r3"),
        pytest.param("bbc10008", "6.1", None, ["powerpc.lost_nonvolatile"], id="lmw r30"),
        pytest.param("849f0004", "6.1", None, ["powerpc.lost_nonvolatile"], id="lwzu r4,4(r31)"),
        pytest.param("7fe42e14", "6.1", None, [], id="addo r31 is stepped"),
        pytest.param("4c800460", None, None, ["powerpc.lost_bctar"], id="bctar"),
        pytest.param("4c000124", None, None, ["powerpc.lost_bctar"], id="rfebb"),
        pytest.param("7c242a1a", None, None, ["powerpc.vector_length"], id="lxvl"),
        pytest.param(
            "7ca02028",
            "6.1",
            None,
            ["powerpc.reservation", "powerpc.kuap_warning"],
            id="lwarx",
        ),
        pytest.param("7ca02028", "6.12", "power8", ["powerpc.reservation"], id="lwarx, hash"),
        pytest.param("7c7f42a6", None, None, ["powerpc.completed_spr"], id="mfpvr"),
        pytest.param("7c7f42a6", None, "power8", [], id="mfpvr, hash"),
        pytest.param("00000000", None, None, ["powerpc.xol_signal"], id="zero"),
        pytest.param("04100000e4600000", None, None, ["powerpc.relative_slot"], id="pld, R=1"),
        pytest.param("04000000e4630000", None, None, [], id="pld, R=0"),
        pytest.param("44000002", "5.13", None, ["powerpc.syscall_emulated"], id="sc"),
        pytest.param("60000000", "6.1", None, [], id="nop"),
    ],
)
def test_known_defects_are_warned_of(
    insn: str, kernel: str | None, cpu: str | None, warnings: list[str]
) -> None:
    assert [each.rule for each in verdict(insn, kernel=kernel, cpu=cpu).warnings] == warnings


@pytest.mark.parametrize("abi", [LE64, BE64])
def test_a_word_is_written_as_the_isa_has_it_and_lies_in_the_byte_order_of_the_task(
    abi: Abi,
) -> None:
    hook = link("powerpc", abi).hook

    for text in ("7fe00008", "0600000038600001"):
        insn = hook.arch_parse_insn(text=text, abi=abi)
        assert hook.arch_format_insn(insn=insn.ljust(8, b"\0"), abi=abi) == text
    trap = hook.arch_parse_insn(text="7fe00008", abi=abi)
    assert trap == (0x7FE00008).to_bytes(4, abi.byteorder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "8 hexadecimal digits", id="nothing"),
        pytest.param("7fe0000", "8 hexadecimal digits", id="seven digits"),
        pytest.param("7fe0000g", "8 hexadecimal digits", id="no digit"),
        pytest.param("7fe0_008", "8 hexadecimal digits", id="what int would take"),
        pytest.param("7fe00008" * 2, "7fe00008 is no prefix", id="two words"),
        pytest.param("7fe00008" * 3, "8 hexadecimal digits", id="three words"),
    ],
)
def test_what_is_no_instruction(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        link("powerpc", LE64).hook.arch_parse_insn(text=text, abi=LE64)


def test_fields_bear_the_names_of_the_isa() -> None:
    hook = link("powerpc", BE64).hook

    fields = hook.arch_insn_fields(insn=bytes.fromhex("7c642a1500000000"), abi=BE64)

    assert fields == {
        "name": "add[o][.]",
        "PO": 31,
        "RT": 3,
        "RA": 4,
        "RB": 5,
        "OE": 0,
        "Rc": 1,
    }


@pytest.mark.parametrize(
    ("insn", "text"),
    [
        pytest.param("7c642a14", "add r3, r4, r5", id="capstone knows it"),
        pytest.param("4e800460", "bctar[l] BO=20 BI=0 LK=0", id="only we do"),
        pytest.param("0600000038600001", "paddi RT=3 RA=0 R=0 D34=1", id="prefixed"),
        pytest.param("00000000", ".long 0x00000000", id="nobody does"),
    ],
)
def test_every_instruction_has_a_text(insn: str, text: str) -> None:
    explainer = Explainer(link("powerpc", LE64), Options())

    assert explainer.explain(explainer.bare(insn)).text == text
