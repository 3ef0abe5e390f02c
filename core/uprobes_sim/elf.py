"""Numbers of <elf.h>, and their names."""

from typing import Final

PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
PT_INTERP: Final = 3
PT_GNU_EH_FRAME: Final = 0x6474E550

ET_EXEC: Final = 2
ET_DYN: Final = 3

PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4


def machine_name(e_machine: int) -> str:
    """Name an `e_machine` as <elf.h> does."""
    from elftools.elf.enums import ENUM_E_MACHINE

    for name, value in ENUM_E_MACHINE.items():
        if value == e_machine and name.startswith("EM_"):
            return name
    return f"e_machine {e_machine}"
