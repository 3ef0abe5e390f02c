"""Which opcodes there are, what follows them, and which may be probed: data only.

The legacy maps are as the kernel's decoder sees them, which is not always as
the processor does. Measured on a live 6.18 kernel: whether registration takes
an encoding, and with how many bytes in front it grows too long.

A map is named by the bytes or the vector prefix that lead to it; `pp` is the
last legacy prefix, or the field of that name: 0 none, 1 66, 2 f3, 3 f2.
"""

from typing import Final

MODRM: Final = 0x10
"""A ModRM byte follows the opcode."""
VECTOR_ONLY: Final = 0x20
"""Known with a vector prefix only: without one the kernel gives up."""
GROUP: Final = 0x40
"""ModRM.reg decides about what follows, or whether there is such an instruction."""
KNOWN: Final = 0x80
"""The vector maps: there is such an instruction."""

IMM: Final = 0x0F
"""Mask of the immediate's kind, named as in the opcode maps of the SDM (vol. 2, A.2)."""
IB, IW, IZ, IV, ID, AP, MOFFS, IW_IB = range(1, 9)


def opcodes(text: str) -> frozenset[int]:
    """Read a list such as `00-03 0d` of opcode bytes."""
    found = set[int]()
    for part in text.split():
        first, _, last = part.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(found)


def row(base: int = 0, **lists: str) -> bytes:
    """Fold lists of opcodes into one attribute byte for each of 256 opcodes."""
    attributes = bytearray(256)
    for name, text in lists.items():
        for opcode in opcodes(text):
            attributes[opcode] |= base | _LISTS[name]
    return bytes(attributes)


_LISTS: Final = {
    "modrm": MODRM,
    "bare": 0,
    "vector_only": VECTOR_ONLY,
    "group": GROUP,
    "ib": IB,
    "iw": IW,
    "iz": IZ,
    "iv": IV,
    "id": ID,
    "ap": AP,
    "moffs": MOFFS,
    "iw_ib": IW_IB,
}

REFUSED: Final = {
    64: opcodes(
        "06-07 0e 16-17 1e-1f 27 2f 37 3f 60-62 6c-6f 82 9a cc-cf d4-d6 e4-e7 ea ec-ef f1 f4 fa-fb"
    ),
    32: opcodes("07 17 1f 6c-6f cc-cf e4-e7 ec-ef f1 f4 fa-fb"),
}
"""Complement of `good_insns_64` and `good_insns_32`, by the mode of the task."""

REFUSED_TWO_BYTE: Final = opcodes("05 0b 34")
"""syscall, ud2, sysenter: refused while `good_2byte_insns` was looked at."""

BAD_PREFIXES: Final = frozenset({0x26, 0x2E, 0x36, 0x3E, 0xF0})
"""es, cs, ss, ds and lock (is_prefix_bad)."""

LEGACY_PREFIXES: Final = BAD_PREFIXES | {0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3}

PP: Final = {0x66: 1, 0xF3: 2, 0xF2: 3}
"""Prefixes that choose among the columns of a map."""

INVALID64: Final = opcodes("06-07 0e 16-17 1e-1f 27 2f 37 3f 60-61 82 9a ce d4 ea")
"""One-byte opcodes after which the decoder stops in 64-bit mode."""

FORCE64: Final = opcodes("70-7f c2 e0-e3 e8-e9 eb")
"""One-byte opcodes whose operand stays 64 bits wide in 64-bit mode, whatever the prefix."""

ONE_BYTE: Final = row(
    modrm="00-03 08-0b 10-13 18-1b 20-23 28-2b 30-33 38-3b 62-63 69 6b 80-8f c0-c1 c4-c7"
    " d0-d3 d8-df f6-f7 fe-ff",
    ib="04 0c 14 1c 24 2c 34 3c 6a-6b 70-7f 80 82-83 a8 b0-b7 c0-c1 c6 cd d4-d5 e0-e7 eb",
    iw="c2 ca",
    iz="05 0d 15 1d 25 2d 35 3d 68-69 81 a9 c7 e8-e9",
    iv="b8-bf",
    ap="9a ea",
    moffs="a0-a3",
    iw_ib="c8",
    group="f6-f7",
)

LEGACY: Final = {
    ("0f", 0): row(
        modrm="00-03 0d 0f-18 1a-1c 1e-23 28-2f 40-6b 6e-76 78-79 7e-7f 90-9f a3-a7 ab-b7 b9-c7"
        " d1-d5 d7-e5 e7-ef f1-fe",
        ib="0f 70 a4 ac ba c2 c4-c6",
        iz="80-8f",
        group="71-73",
    ),
    ("0f", 1): row(
        modrm="00-03 0d 0f-18 1a-1c 1e-23 28-2f 40-51 54-76 7c-7f 90-9f a3-a7 ab-b7 b9-c7 d0-ef"
        " f1-fe",
        ib="0f 70 a4 ac ba c2 c4-c6",
        iz="80-8f",
        group="71-73",
        vector_only="78-7b",
    ),
    ("0f", 2): row(
        modrm="00-03 0d 0f-12 16 18 1a-1c 1e-23 2a 2c-2d 40 43 48-49 4c-4f 51-53 58-5f 6f-73 7e-7f"
        " 94-97 9a-9f a3-a7 ab-c3 c7 d6 e6",
        ib="0f 70 a4 ac ba c2",
        iz="80-8f",
        vector_only="78-7b",
    ),
    ("0f", 3): row(
        modrm="00-03 0d 0f-12 18 1a-1c 1e-23 2a 2c-2d 40 43 48-49 4c-4f 51 58-5a 5c-5f 70-73 7c-7d"
        " 92-97 9a-9f a3-a7 ab-b7 b9-c3 c7 d0 d6 e6 f0",
        ib="0f 70 a4 ac ba c2",
        iz="80-8f",
        vector_only="6f 78-7b 7f",
    ),
    ("0f38", 0): row(
        modrm="00-0b 1c-1e 49 5e 6c c6-cd da f0-f1 f3 f6 f9 fc",
        vector_only="50-51 b0 d2-d3 f2 f5 f7",
    ),
    ("0f38", 1): row(
        modrm="00-0b 10 14-15 17 1c-1e 20-25 28-2b 30-35 37-41 49 4b 50-53 5e 6c 80-82 b4-b5 c6-c7"
        " c9 cf da-f1 f3 f5-f6 f8-f9 fc",
        vector_only="0c-0f 11-13 16 18-1b 1f 26-27 2c-2f 36 42-47 4c-4f 54-55 58-5b 62-66 70-73"
        " 75-7f 83 88-93 96-a3 a6-b1 b6-bf c4 c8 ca-cd d2-d3 f2 f7",
    ),
    ("0f38", 2): row(
        modrm="5c 5e 72 c6-c7 c9 d8 dc-df f3 f6 f8-fc",
        vector_only="10-15 20-2a 30-35 38-3a 4b 50-52 b0-b1 d2-d3 da f2 f5 f7",
    ),
    ("0f38", 3): row(
        modrm="49 4b 5c 5e c6-c7 c9 f0-f1 f3 f8-f9 fc",
        vector_only="50-53 68 72 9a-9b aa-ab b0 cb-cd da f2 f5-f7",
    ),
    ("0f3a", 0): row(modrm="08 0a 0f cc", ib="08 0a 0f cc", vector_only="26-27 56-57 66-67 c2"),
    ("0f3a", 1): row(
        modrm="08-0f 14-17 20-22 40-42 44 4c 60-63 cc ce-cf de-df",
        ib="08-0f 14-17 20-22 40-42 44 4c 60-63 cc ce-cf de-df",
        vector_only="00-06 18-1b 1d-1f 23 25-27 30-33 38-3b 3e-3f 43 46 4a-4b 50-51 54-57 66-67"
        " 70-73",
    ),
    ("0f3a", 2): row(modrm="cc f0", ib="cc f0", vector_only="c2"),
    ("0f3a", 3): row(modrm="cc", ib="cc", vector_only="f0"),
}
"""Two- and three-byte opcodes, by escape and pp."""

_VEX2_PP1: Final = (
    "00-10 13-1a 1c-1e 20-25 28-41 45-47 49 4b 50-53 58-5a 5e 6c 78-79 8c 8e 90-93 96-9f a6-b1"
    " b4-bf c6-c7 cf d2-d3 da-ef f3 f7"
)
_MAP3_PP1: Final = (
    "00-02 04-06 08-0f 14-19 1d 20-22 30-33 38-39 40-42 44 46 4a-4c 60-63 ce-cf de-df"
)
_EVEX3_PP0: Final = "08 0a 26-27 56-57 66-67 c2"
_EVEX3_PP1: Final = (
    "00-06 08-0f 14-1b 1d-23 25-27 30-33 38-3b 3e-44 46 4a-4c 50-51 54-57 60-63 66-67 70-73 ce-cf"
    " de-df"
)
_XOP8: Final = "85-87 8e-8f 95-97 9e-9f a2-a3 a6 b6 c0-c3 cc-cf ec-ef"

VECTOR: Final = {
    ("vex", 1, 0): row(
        KNOWN,
        modrm="10-17 28-29 2b 2e-2f 41-42 44-47 4a-4b 50-5f 78-79 90-93 98-99 ae c2 c6",
        bare="77",
        ib="c2 c6",
        group="ae",
    ),
    ("vex", 1, 1): row(
        KNOWN,
        modrm="10-17 28-29 2b 2e-2f 41-42 44-47 4a-4b 50-51 54-76 7c-7f 90-93 98-99 c2 c4-c6 d0-ef"
        " f1-fe",
        ib="70-73 c2 c4-c6",
        group="71-73",
    ),
    ("vex", 1, 2): row(KNOWN, modrm="10-12 16 2a 2c-2d 51-53 58-5f 6f-70 7e-7f c2 e6", ib="70 c2"),
    ("vex", 1, 3): row(
        KNOWN, modrm="10-12 2a 2c-2d 51 58-5a 5c-5f 70 7c-7d 92-93 c2 d0 e6 f0", ib="70 c2"
    ),
    ("vex", 2, 0): row(KNOWN, modrm="49 50-51 5e 6c b0 d2-d3 da f2-f3 f5 f7", group="f3"),
    ("vex", 2, 1): row(KNOWN, modrm=_VEX2_PP1, group="c6-c7 f3"),
    ("vex", 2, 2): row(KNOWN, modrm="4b 50-51 5c 5e 72 b0-b1 d2-d3 da f3 f5 f7", group="f3"),
    ("vex", 2, 3): row(KNOWN, modrm="49 4b 50-51 5c 5e b0 cb-cd da f3 f5-f7", group="f3"),
    ("vex", 3, 0): row(KNOWN, modrm="08 0a", ib="08 0a"),
    ("vex", 3, 1): row(KNOWN, modrm=_MAP3_PP1, ib=_MAP3_PP1),
    ("vex", 3, 3): row(KNOWN, modrm="f0", ib="f0"),
    ("vex", 7, 2): row(KNOWN, modrm="f8", id="f8"),
    ("vex", 7, 3): row(KNOWN, modrm="f8", id="f8"),
    ("evex", 1, 0): row(
        KNOWN,
        modrm="10-17 28-29 2b 2e-2f 41-42 44-47 4a-4b 50-5f 78-79 90-93 98-99 ae c2 c6",
        bare="77",
        ib="c2 c6",
        group="ae",
    ),
    ("evex", 1, 1): row(
        KNOWN,
        modrm="10-17 28-29 2b 2e-2f 41-42 44-47 4a-4b 50-51 54-76 78-7f 90-93 98-99 c2 c4-c6 d0-ef"
        " f1-fe",
        ib="70-73 c2 c4-c6",
        group="71-73",
    ),
    ("evex", 1, 2): row(
        KNOWN, modrm="10-12 16 2a 2c-2d 51-53 58-5f 6f-70 78-7b 7e-7f c2 e6", ib="70 c2"
    ),
    ("evex", 1, 3): row(
        KNOWN,
        modrm="10-12 2a 2c-2d 51 58-5a 5c-5f 6f-70 78-7d 7f 92-93 c2 d0 e6 f0",
        ib="70 c2",
    ),
    ("evex", 2, 0): row(KNOWN, modrm="49 50-51 5e 6c b0 d2-d3 da f2-f3 f5 f7", group="f3"),
    ("evex", 2, 1): row(
        KNOWN,
        modrm="00-47 49 4b-55 58-5b 5e 62-66 6c 70-73 75-7f 83 88-93 96-a3 a6-b1 b4-bf c4 c6-c8"
        " ca-cd cf d2-d3 da-ef f3 f7",
        group="c6-c7 f3",
    ),
    ("evex", 2, 2): row(
        KNOWN,
        modrm="10-15 20-2a 30-35 38-3a 4b 50-52 5c 5e 72 b0-b1 d2-d3 da f3 f5 f7",
        group="f3",
    ),
    ("evex", 2, 3): row(
        KNOWN, modrm="49 4b 50-53 5c 5e 68 72 9a-9b aa-ab b0 cb-cd da f3 f5-f7", group="f3"
    ),
    ("evex", 3, 0): row(KNOWN, modrm=_EVEX3_PP0, ib=_EVEX3_PP0),
    ("evex", 3, 1): row(KNOWN, modrm=_EVEX3_PP1, ib=_EVEX3_PP1),
    ("evex", 3, 2): row(KNOWN, modrm="c2", ib="c2"),
    ("evex", 3, 3): row(KNOWN, modrm="f0", ib="f0"),
    ("evex", 4, 0): row(
        KNOWN,
        modrm="00-03 08-0b 10-13 18-1b 20-24 28-2c 30-33 38-3b 40-4f 60-61 66 69 6b 80-81 83-85 88"
        " 8f a5 ad af c0-c1 d0-d3 f0-f1 f4-f7 f9 fe-ff",
        ib="24 2c 6b 80 83 c0-c1",
        iz="69 81",
        group="f6-f7",
    ),
    ("evex", 4, 1): row(
        KNOWN,
        modrm="01 03 09 0b 11 13 19 1b 21 23-24 29 2b-2c 31 33 39 3b 40-4f 60-61 65-66 69 6b 80-81"
        " 83 85 88 a5 ad af c0-c1 d0-d3 f1 f4-f8 fe-ff",
        ib="24 2c 6b 80 83 c0-c1",
        iz="69 81",
        group="f6-f7",
    ),
    ("evex", 4, 2): row(
        KNOWN,
        modrm="66 80-81 83 c0-c1 d0-d3 f0-f2 f6-f8 fe-ff",
        ib="80 83 c0-c1",
        iz="81",
        group="f6-f7",
    ),
    ("evex", 4, 3): row(
        KNOWN,
        modrm="40-4f 80-81 83 c0-c1 d0-d3 f6-f8 fe-ff",
        ib="80 83 c0-c1",
        iz="81",
        group="f6-f7",
    ),
    ("evex", 5, 0): row(KNOWN, modrm="1d 2e-2f 51 58-5f 78-79 7c-7d"),
    ("evex", 5, 1): row(KNOWN, modrm="1d 5a-5b 6e 78-7e"),
    ("evex", 5, 2): row(KNOWN, modrm="10-11 2a 2c-2d 51 58-5f 78-79 7b 7d"),
    ("evex", 5, 3): row(KNOWN, modrm="5a 7a 7d"),
    ("evex", 6, 0): row(KNOWN, modrm="13"),
    ("evex", 6, 1): row(KNOWN, modrm="13 2c-2d 42-43 4c-4f 96-9f a6-af b6-bf"),
    ("evex", 6, 2): row(KNOWN, modrm="56-57 d6-d7"),
    ("evex", 6, 3): row(KNOWN, modrm="56-57 d6-d7"),
    ("evex", 7, 2): row(KNOWN, modrm="f8", id="f8"),
    ("evex", 7, 3): row(KNOWN, modrm="f8", id="f8"),
    ("xop", 8, 0): row(KNOWN, modrm=_XOP8, ib=_XOP8),
    ("xop", 9, 0): row(KNOWN, modrm="01-02 12 80-83 90-9b c1-c3 c6-c7 cb d1-d3 d6-d7 db e1-e3"),
    ("xop", 10, 0): row(KNOWN, modrm="10 12", id="10", group="12"),
}
"""Vector instructions that the kernel knows, by prefix, map and pp (XOP has no pp)."""

_KEY_LOCKER: Final = "d8 dc-df fa-fb"
_VEX2_NEW: Final = ("50-51 6c b0 d2-d3 da", "50-51 b0-b1 d2-d3 da", "50-51 5c b0 cb-cd da")
_VEX2_NEW_PP1: Final = "6c b0-b1 d2-d3 da e0-ef"
_ALL: Final = "00-ff"

NEW_WITH_APX: Final[dict[tuple[str | int, ...], str]] = {
    ("0f38", 0): f"{_VEX2_NEW[0]} fc",
    ("0f38", 1): f"{_VEX2_NEW_PP1} fc",
    ("0f38", 2): f"{_VEX2_NEW[1]} {_KEY_LOCKER} fc",
    ("0f38", 3): f"{_VEX2_NEW[2]} fc",
    ("0f3a", 1): "de",
    ("vex", 2, 0): _VEX2_NEW[0],
    ("vex", 2, 1): f"{_VEX2_NEW_PP1} b4-b5",
    ("vex", 2, 2): f"{_VEX2_NEW[1]} 72",
    ("vex", 2, 3): _VEX2_NEW[2],
    ("vex", 3, 1): "de",
    **{("vex", 7, pp): _ALL for pp in (2, 3)},
    ("evex", 2, 0): _VEX2_NEW[0],
    ("evex", 2, 1): _VEX2_NEW_PP1,
    ("evex", 2, 2): _VEX2_NEW[1],
    ("evex", 2, 3): _VEX2_NEW[2],
    ("evex", 3, 1): "de",
    **{("evex", 4, pp): _ALL for pp in range(4)},
    **{("evex", 7, pp): _ALL for pp in (2, 3)},
}
"""Opcodes of which the maps of older kernels know nothing, by map: measured on 6.1.192."""

EVEX_ONLY_BEFORE_APX: Final[dict[tuple[str | int, ...], str]] = {
    ("0f38", 1): "b4-b5",
    ("0f38", 2): "72",
}
"""Opcodes that older kernels give up on without a vector prefix, and newer ones do not."""

GROUP_MEMBERS: Final = {
    (1, 0xAE): (2, 3),
    (1, 0x71): (2, 4, 6),
    (1, 0x72): (0, 1, 2, 4, 6),
    (1, 0x73): (2, 3, 6, 7),
    (2, 0xF3): (1, 2, 3),
    (2, 0xC6): (1, 2, 5, 6),
    (2, 0xC7): (1, 2, 5, 6),
}
"""Members (ModRM.reg) of the vector groups that lack some, by map and opcode."""

GROUP_IMMEDIATES: Final = {
    ("1", 0, 0xF6): (IB, (0, 1)),
    ("1", 0, 0xF7): (IZ, (0, 1)),
    ("0f", 0, 0x71): (IB, (2, 4, 6)),
    ("0f", 0, 0x72): (IB, (2, 4, 6)),
    ("0f", 0, 0x73): (IB, (2, 6)),
    ("0f", 1, 0x71): (IB, (2, 4, 6)),
    ("0f", 1, 0x72): (IB, (0, 1, 2, 4, 6)),
    ("0f", 1, 0x73): (IB, (2, 3, 6, 7)),
    ("evex", 4, 0xF6): (IB, (0, 1)),
    ("evex", 4, 0xF7): (IZ, (0, 1)),
    ("xop", 10, 0x12): (ID, (0, 1)),
}
"""Groups of which only some members have an immediate: its kind, and which.

By escape and pp, or by vector prefix and map; and opcode.
"""
