"""The global options, as the core takes them."""

import platform
import re
from dataclasses import replace

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options
from uprobes_sim.errors import LinkError, UnknownKernelError, UprobesSimError
from uprobes_sim.linker import Linked, installed, link
from uprobes_sim_cli.app import Bits, Settings


def session_options(settings: Settings) -> Options:
    """Translate what the user chose.

    Raises:
        UnknownKernelError: `--kernel running`, and this machine's is not modelled.
    """
    options = Options(
        arch=settings.arch,
        kernel=settings.kernel,
        cpu=settings.cpu,
        errata=settings.errata.value,
        variant=settings.variant,
        bits=32 if settings.bits is Bits.BITS32 else 64,
    )
    if settings.kernel == "running":
        return replace(options, kernel=_running_release())
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


def _running_release() -> str:
    system, release = platform.system(), platform.release()
    match = re.match(r"\d+\.\d+(\.\d+)?", release)
    if system != "Linux" or match is None:
        raise UnknownKernelError(
            f"this machine runs {system} {release}, which is not Linux; give --kernel X.Y"
        )
    return match[0]
