"""What a user may choose, and the machine that comes of it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from uprobes_sim.arch import ABIS, Abi
from uprobes_sim.elf import machine_name
from uprobes_sim.errors import (
    LinkError,
    PluginError,
    ProgramError,
    UnknownKernelError,
    UprobesSimError,
)
from uprobes_sim.linker import Linked, find, installed, link
from uprobes_sim.version import RELEASES, Config, Kconfig, Kernel, parse_kernel

if TYPE_CHECKING:
    from uprobes_sim.kconfig import Host
    from uprobes_sim.loader import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may choose about a run. None: the default, or what the ELF header says."""

    arch: str | None = None
    kernel: str | None = None
    """A release, as `parse_kernel` takes it."""
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
    kconfig: Kconfig | None = None
    """None: as distributions configure the release, or as *host* is."""
    host: "Host | None" = None
    """This machine, whose configuration and processor count where it runs the architecture."""


def link_for(elf: "Program", options: Options) -> Linked:
    """Link the backend that runs *elf*: the one that is asked for, or that its header names.

    Raises:
        ProgramError: no backend runs it, or not the one that was asked for.
        UprobesSimError: as `link`.
    """
    return link_machine(str(elf.path), elf.e_machine, elf.abi, options)


def link_machine(path: str, e_machine: int, abi: Abi, options: Options) -> Linked:
    """Link the backend that runs files of *e_machine* and *abi*, such as *path*; as `link_for`."""
    if options.arch is not None:
        if e_machine not in _elf_machines(options.arch, abi):
            raise ProgramError(
                f"{path}: {options.arch} does not run {machine_name(e_machine)}, {abi}; "
                "leave --arch out, and the ELF header decides"
            )
        return link(options.arch, abi, options.variant)
    broken: PluginError | None = None
    for name in installed():
        try:
            if e_machine in _elf_machines(name, abi):
                return link(name, abi, options.variant)
        except LinkError:
            raise
        except PluginError as exc:
            broken = exc
    also = f" ({broken})" if broken else ""
    raise ProgramError(
        f"{path}: no plugin runs {machine_name(e_machine)}, {abi}; "
        f"installed: {', '.join(installed())}{also}"
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
        UprobesSimError: no such kernel release, no such processor, or the release has no
            uprobes on this architecture.
    """
    kernel = kernel_of(linked, options)
    if not kernel.has("uprobes"):
        row = next(row for row in linked.hook.arch_behaviours() if row.name == "uprobes")
        also = f", or {row.series}, the patches on the way there" if row.series else ""
        raise UnknownKernelError(
            f"Linux {kernel} has no uprobes on {linked.info.name}; "
            f"{Kernel(row.since)} is the first{also}"
        )
    return configure_as(linked, kernel, options)


def kernel_of(linked: Linked, options: Options) -> Kernel:
    """Find the kernel that is asked for, with the rows of the backend.

    Raises:
        UnknownKernelError: as `parse_kernel`.
    """
    newest = str(Kernel(RELEASES[-1]))
    host = _host(linked, options)
    kconfig = options.kconfig or (None if host is None else host.kconfig)
    return parse_kernel(options.kernel or newest, linked.hook.arch_behaviours(), kconfig)


def _host(linked: Linked, options: Options) -> "Host | None":
    """Give this machine, if it is chosen and of the architecture that is linked."""
    host = options.host
    if host is None:
        return None
    machines = set[str]()
    for abi in ABIS:
        with suppress(LinkError):
            machines.add(linked.hook.arch_info(abi=abi).machine)
    return host if host.machine in machines else None


def configure_as(linked: Linked, kernel: Kernel, options: Options) -> Config:
    """Choose the simulated machine, which has *kernel*, with uprobes or without.

    Raises:
        UprobesSimError: no such processor.
    """
    cpus = linked.info.cpus
    if options.cpu is not None and options.cpu not in cpus:
        raise UprobesSimError(
            f"{linked.info.name} has no processor {options.cpu}; it knows {', '.join(cpus)}"
        )
    host = _host(linked, options)
    own = host.cpu if host is not None and host.cpu in cpus else None
    cpu = options.cpu or own or cpus[0]
    in_force = frozenset(
        erratum.id
        for erratum in linked.hook.arch_errata()
        if erratum.in_force(kernel.release, cpu, kernel.kconfig)
    )
    return Config(kernel, cpu, options.errata, in_force)
