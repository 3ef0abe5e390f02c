"""The global options, as the core takes them."""

from dataclasses import replace

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options
from uprobes_sim.errors import LinkError, UprobesSimError
from uprobes_sim.linker import Linked, installed, link
from uprobes_sim_cli.app import Bits, Settings


def session_options(settings: Settings) -> Options:
    """Translate what the user chose.

    Raises:
        UnknownKernelError: `--kernel running`, and this machine does not run Linux.
        UprobesSimError: `--kconfig` names no configuration.
    """
    options = Options(
        arch=settings.arch,
        kernel=settings.kernel,
        cpu=settings.cpu,
        errata=settings.errata.value,
        variant=settings.variant,
        bits=32 if settings.bits is Bits.BITS32 else 64,
    )
    if settings.kconfig is not None:
        from uprobes_sim.kconfig import read_kconfig

        options = replace(options, kconfig=read_kconfig(settings.kconfig))
    if settings.kernel == "running":
        from uprobes_sim.kconfig import read_host

        host = read_host()
        options = replace(options, kernel=host.release, host=host)
    return options


def link_bare(options: Options) -> Linked:
    """Link the backend for instructions that no ELF file tells of: `--arch`, `--bits`.

    Raises:
        UprobesSimError: no backend is named; else as `link`.
    """
    if options.arch is None:
        raise UprobesSimError(f"name the backend: --arch {' or --arch '.join(installed())}")
    try:
        return link(options.arch, Abi(options.bits, "little"), options.variant)
    except LinkError:
        return link(options.arch, Abi(options.bits, "big"), options.variant)
