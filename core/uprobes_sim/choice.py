"""What a user may choose, and the machine that comes of it."""

from dataclasses import dataclass
from typing import Literal

from uprobes_sim.arch import Abi
from uprobes_sim.errors import LinkError, PluginError, ProgramError, UprobesSimError
from uprobes_sim.linker import Linked, find, installed, link
from uprobes_sim.loader import Program, machine_name
from uprobes_sim.version import RELEASES, Config, Kernel, parse_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may choose about a run. None: the default, or what the ELF header says."""

    arch: str | None = None
    kernel: str | None = None
    """A release as `parse_release` takes it."""
    cpu: str | None = None
    errata: Literal["linux", "none"] = "linux"
    bits: Literal[64, 32] = 64
    """Mode of a task that no ELF file tells: which demonstration runs."""
    variant: str | None = None
    compare: bool = True
    """Run the program without probes as well, and compare."""
    regs: bool = False
    """Keep all registers in each hit."""
    write: bool = False
    """Write the files that the program wrote to the host, at the end."""


def link_for(elf: Program, options: Options) -> Linked:
    """Link the backend that runs *elf*: the one that is asked for, or that its header names.

    Raises:
        ProgramError: no backend runs it, or not the one that was asked for.
        UprobesSimError: as `link`.
    """
    kind = f"{machine_name(elf.e_machine)}, {elf.abi}"
    if options.arch is not None:
        if elf.e_machine not in _elf_machines(options.arch, elf.abi):
            raise ProgramError(
                f"{elf.path}: {options.arch} does not run {kind}; leave --arch out, "
                "and the ELF header decides"
            )
        return link(options.arch, elf.abi, options.variant)
    broken: PluginError | None = None
    for name in installed():
        try:
            if elf.e_machine in _elf_machines(name, elf.abi):
                return link(name, elf.abi, options.variant)
        except LinkError:
            raise
        except PluginError as exc:
            broken = exc
    also = f" ({broken})" if broken else ""
    raise ProgramError(
        f"{elf.path}: no plugin runs {kind}; installed: {', '.join(installed())}{also}"
    )


def _elf_machines(arch: str, abi: Abi) -> frozenset[int]:
    """List the ELF machines that a backend runs for *abi*; none where it does not serve it."""
    try:
        info = find(arch).arch_info(abi=abi)  # type: ignore[attr-defined]  # asked before it is linked
    except (AttributeError, LinkError):
        return frozenset()
    machines: frozenset[int] = info.elf_machines
    return machines


def configure(linked: Linked, options: Options) -> Config:
    """Choose the simulated machine.

    Raises:
        UprobesSimError: no such kernel release, no such processor.
    """
    release = RELEASES[-1] if options.kernel is None else parse_release(options.kernel)
    cpus = linked.info.cpus
    if options.cpu is not None and options.cpu not in cpus:
        raise UprobesSimError(
            f"{linked.info.name} has no processor {options.cpu}; it knows {', '.join(cpus)}"
        )
    kernel = Kernel(release, linked.hook.arch_behaviours())
    cpu = options.cpu or cpus[0]
    in_force = frozenset(
        erratum.id for erratum in linked.hook.arch_errata() if erratum.in_force(release, cpu)
    )
    return Config(kernel, cpu, options.errata, in_force)
