"""Compile `cutter.py` by numba, in a process of its own: `python -m uprobes_sim_x86.compile FILE`.

What is written is an image that needs neither numba nor a linker: sections at fixed distances, and
where in them the address of the image has to be added. It runs on any x86-64 processor.
"""

import os
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from types import FunctionType
from typing import Any, Final

import numpy as np
from elftools.elf.elffile import ELFFile

from uprobes_sim_x86 import cutter
from uprobes_sim_x86.native import SIGNATURES

_ALIGN: Final = 64
_R_X86_64_64, _R_X86_64_PC32, _R_X86_64_PLT32, _R_X86_64_PC64 = 1, 2, 4, 24
_RELATIVE: Final = {_R_X86_64_PC32: 4, _R_X86_64_PLT32: 4, _R_X86_64_PC64: 8}
"""Bytes of the distances that are filled in."""


def compile_cutter() -> dict[str, Any]:
    """Compile all entry points into one image."""
    os.environ |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
    numba: Any = __import__("numba")
    for name, helper in vars(cutter).copy().items():
        if isinstance(helper, FunctionType):
            setattr(cutter, name, numba.njit(error_model="numpy")(helper))
    image, fixups, entries = bytearray(), list[tuple[int, int]](), list[int]()
    for name in SIGNATURES:
        entry, more = _link(_object(numba, name), image)
        entries.append(entry)
        fixups += more
    return {
        "image": np.frombuffer(bytes(image), np.uint8),
        "fixups": np.array(fixups, np.int64).reshape(-1, 2),
        "entries": np.array(entries, np.int64),
    }


def _object(numba: Any, name: str) -> tuple[bytes, str]:  # noqa: ANN401  numba has no types
    """Compile one entry point; answer an object file, and the name of its symbol."""
    types = numba.types
    kinds = {"int64": types.int64}
    kinds |= {f"{kind}*": types.CPointer(getattr(types, kind)) for kind in _pointed_at()}
    signature = tuple(kinds[kind] for kind in SIGNATURES[name])
    bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}
    compiled = numba.njit(types.void(*signature), **bare)(getattr(cutter, name).py_func)
    (found,) = compiled.overloads.values()
    code: bytes = found.library.codegen._tm.emit_object(found.library._final_module)
    return code, found.fndesc.llvm_func_name


def _pointed_at() -> set[str]:
    kinds = {kind for signature in SIGNATURES.values() for kind in signature}
    return {kind.removesuffix("*") for kind in kinds if kind.endswith("*")}


def _link(code: tuple[bytes, str], image: bytearray) -> tuple[int, Iterator[tuple[int, int]]]:
    """Append the sections of an object file to *image*; answer its entry, and what to fix up."""
    elf: Any = ELFFile(BytesIO(code[0]))  # whose types know no symbols
    places = dict[int, int]()
    for number, section in enumerate(elf.iter_sections()):
        if section["sh_flags"] & 2 and section["sh_type"] == "SHT_PROGBITS":
            image += bytes(-len(image) % _ALIGN)
            places[number] = len(image)
            image += section.data()
    symbols = list(elf.get_section_by_name(".symtab").iter_symbols())

    def address(number: int) -> int:
        symbol = symbols[number]
        if symbol["st_shndx"] not in places:
            raise SystemExit(f"{symbol.name} is not in the object file")
        return int(places[symbol["st_shndx"]] + symbol["st_value"])

    fixups = list(_relocated(elf, places, image, address))
    (entry,) = [n for n, symbol in enumerate(symbols) if symbol.name == code[1]]
    return address(entry), iter(fixups)


def _relocated(
    elf: Any,  # noqa: ANN401  as above
    places: dict[int, int],
    image: bytearray,
    address: Callable[[int], int],
) -> Iterator[tuple[int, int]]:
    for section in elf.iter_sections():
        if section["sh_type"] != "SHT_RELA" or section["sh_info"] not in places:
            continue
        for relocation in section.iter_relocations():
            at = places[section["sh_info"]] + relocation["r_offset"]
            value = address(relocation["r_info_sym"]) + relocation["r_addend"]
            kind = relocation["r_info_type"]
            if kind == _R_X86_64_64:
                yield at, value
            else:
                size = _RELATIVE[kind]
                image[at : at + size] = (value - at).to_bytes(size, "little", signed=True)


if __name__ == "__main__":
    np.savez(sys.argv[1], **compile_cutter())
