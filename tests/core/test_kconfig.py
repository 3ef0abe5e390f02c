"""core/uprobes_sim/kconfig.py, and what it changes"""

import gzip
import platform
from pathlib import Path

import pytest

from uprobes_sim.arch import Abi
from uprobes_sim.choice import Options, configure
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.kconfig import Host, Kconfig, read_host, read_kconfig
from uprobes_sim.linker import link

TEXT = b'# Linux\nCONFIG_UPROBES=y\n# CONFIG_PPC_KUAP is not set\nCONFIG_LOCALVERSION="-a"\n'


@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT)], ids=["plain", "gz"])
def test_a_configuration_is_read(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(data)

    found = read_kconfig(path)

    assert found.values == {"CONFIG_UPROBES": "y", "CONFIG_LOCALVERSION": "-a"}
    assert found.meets("CONFIG_UPROBES=y")
    assert found.meets("CONFIG_PPC_KUAP=n")
    assert not found.meets("CONFIG_PPC_KUAP=y")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"#!/bin/sh\n", "is no kernel configuration"),
        (b"\x7fELF\0\xff", "is no kernel configuration"),
        (b"\x1f\x8b\x08broken-------------", "cannot be read"),
    ],
)
def test_what_is_no_configuration_is_told(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(data)

    with pytest.raises(UprobesSimError, match=message):
        read_kconfig(path)


def test_this_machine_tells_its_kernel() -> None:
    host = read_host()

    assert host.machine == platform.machine()
    assert platform.release().startswith(host.release)
    if Path("/proc/config.gz").exists():
        assert host.kconfig is not None
        assert host.kconfig.meets("CONFIG_MMU=y")


def test_errata_that_hang_on_an_option_go_with_it() -> None:
    powerpc = link("powerpc", Abi(64, "little"))
    sanitized = Kconfig({"CONFIG_UPROBES": "y", "CONFIG_INTERRUPT_SANITIZE_REGISTERS": "y"})

    default = configure(powerpc, Options(kernel="6.1")).in_force
    changed = configure(powerpc, Options(kernel="6.1", kconfig=sanitized)).in_force

    assert default - changed == {"powerpc.lost_nonvolatile", "powerpc.kuap_warning"}


def test_behaviours_that_hang_on_an_option_go_with_it() -> None:
    powerpc, plain = link("powerpc", Abi(64, "little")), Kconfig({"CONFIG_UPROBES": "y"})

    assert configure(powerpc, Options()).kernel.has("powerpc_kuap")
    assert not configure(powerpc, Options(kconfig=plain)).kernel.has("powerpc_kuap")


@pytest.mark.parametrize(
    ("machine", "cpu", "expected"),
    [
        ("ppc64le", "power9", "power9"),
        ("x86_64", "power9", "power10"),
        ("ppc64", "e500", "power10"),
    ],
)
def test_the_processor_is_this_machines_if_the_architecture_is(
    machine: str, cpu: str, expected: str
) -> None:
    powerpc = link("powerpc", Abi(64, "little"))

    assert configure(powerpc, Options(host=Host("6.1", machine, None, cpu))).cpu == expected
