"""The hooks answer, with the right types; the constants agree with each other."""

import pytest

from uprobes_sim.arch import ABIS
from uprobes_sim.conformance import claims
from uprobes_sim.conformance.bench import RX
from uprobes_sim.conformance.suite import Suite
from uprobes_sim.errors import LinkError
from uprobes_sim.linker import Linked, link_plugin
from uprobes_sim.memory import Mm
from uprobes_sim.session import Options, configure
from uprobes_sim.uapi import Uapi
from uprobes_sim.units import PAGE_SIZE, Vaddr
from uprobes_sim.version import Config


@pytest.fixture
def config(linked: Linked) -> Config:
    """The newest machine."""
    return configure(linked, Options())


@pytest.fixture
def mm(linked: Linked) -> Mm:
    """An empty address space."""
    info = linked.info
    return Mm(info.abi, task_size=info.task_size, mmap_base=info.mmap_base)


def test_an_abi_that_is_not_served_is_refused_by_name(suite: Suite) -> None:
    target = suite.target
    for abi in {*ABIS} - {linked.info.abi for linked in target.machines}:
        with pytest.raises(LinkError, match=str(abi)):
            link_plugin(target.plugin, target.name, abi, wrap=target.guard.wrap)


def test_what_is_claimed_can_be_claimed(suite: Suite) -> None:
    wrong = [found for claim in suite.target.claims if (found := claims.complaint(claim))]

    assert not wrong, "; ".join(wrong)


def test_the_constants_are_of_the_abi_that_was_asked_for(linked: Linked) -> None:
    info = linked.info

    assert info.abi in ABIS
    assert 0 < info.stack_top <= info.task_size <= 1 << info.abi.bits
    assert info.mmap_base < info.stack_top
    assert info.mmap_base % PAGE_SIZE == info.load_bias % PAGE_SIZE == 0
    assert isinstance(info.uapi, Uapi)
    assert info.elf_machines
    assert info.cpus


def test_the_breakpoint_fits_in_an_instruction_and_that_in_a_slot(linked: Linked) -> None:
    info = linked.info

    assert 0 < info.swbp_size <= info.max_insn_bytes <= info.xol_slot_bytes
    assert PAGE_SIZE % info.xol_slot_bytes == 0


def test_registers_keep_what_is_written(linked: Linked, config: Config) -> None:
    regs = linked.hook.arch_regs(abi=linked.info.abi, config=config)
    names = list(regs.names())

    regs.ip, regs.sp = Vaddr(0x1230), Vaddr(0x4560)

    assert (regs.ip, regs.sp) == (0x1230, 0x4560)
    assert len(set(names)) == len(names)
    assert all(regs.get(name) >= 0 for name in names)
    assert sum(regs.get(name) == 0x1230 for name in names) == 1
    with pytest.raises(KeyError):
        regs.get("there is no such register")


def test_two_tasks_have_registers_of_their_own(linked: Linked, config: Config) -> None:
    first, second = (linked.hook.arch_regs(abi=linked.info.abi, config=config) for _ in range(2))

    first.sp = Vaddr(0x4560)

    assert second.sp == 0


def test_a_program_starts_at_its_entry_on_its_stack(linked: Linked, mm: Mm, config: Config) -> None:
    entry, sp = Vaddr(0x10000), Vaddr(0x20000)
    mm.mmap(0x10000, PAGE_SIZE, RX)

    regs = linked.hook.start_thread(entry=entry, sp=sp, mm=mm, e_flags=2, config=config)

    assert (regs.ip, regs.sp) == (entry, sp)


def test_a_system_call_is_answered_where_functions_return_values(
    linked: Linked, config: Config
) -> None:
    regs = linked.hook.arch_regs(abi=linked.info.abi, config=config)

    linked.hook.syscall_set_return_value(regs=regs, error=0, value=0x1234)

    assert linked.hook.regs_return_value(regs=regs) == 0x1234
    assert len(linked.hook.syscall_get_arguments(regs=regs)) == 6
    assert linked.hook.syscall_get_nr(regs=regs) >= 0


def test_what_is_told_beforehand_can_be_told(linked: Linked, mm: Mm, config: Config) -> None:
    """Rows of the version table, errata, variants and the auxiliary vector."""
    hook, abi = linked.hook, linked.info.abi
    behaviours, errata = hook.arch_behaviours(), hook.arch_errata()

    assert len({row.name for row in behaviours}) == len(behaviours)
    assert len({erratum.id for erratum in errata}) == len(errata)
    assert hook.arch_variants()
    hook.arch_auxv(abi=abi, config=config)
    hook.arch_uprobe_init_state(mm=mm)


def test_the_trampoline_fits_in_the_first_slot(linked: Linked, config: Config) -> None:
    info = linked.info

    code = linked.hook.arch_uretprobe_trampoline(abi=info.abi, config=config)

    assert 0 < len(code) <= info.xol_slot_bytes


def test_every_variant_links(suite: Suite, linked: Linked) -> None:
    target = suite.target
    for variant in linked.hook.arch_variants():
        link_plugin(target.plugin, target.name, linked.info.abi, variant, wrap=target.guard.wrap)
