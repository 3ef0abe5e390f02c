"""The decoder of `insn.py` once more, for millions of instructions: `native.py` has it compiled.

It goes by the same tables, and tells length and form only. A form is all that the kernel's rules
look at, packed into a number; what a rule says of it, `analyze.py` is asked. Where the kernel and
the processor disagree about the bytes, only the same bytes are the same form.

Everything is an integer below 2 to the 63: Python and the compiled code must not differ. The two
functions that every instruction goes through are long, since a call costs more than what they do.
"""

from typing import Any, Final

Bytes = Any
"""Bytes; compiled, a pointer to them."""
Numbers = Any
"""An array; compiled, a pointer into it."""

MAX_INSN_SIZE: Final = 15
_TOO_LONG: Final = 16
"""A length that no instruction has."""

_MODRM, _VECTOR_ONLY, _GROUP, _IMM = 0x10, 0x20, 0x40, 0x0F
_IB, _IW, _IZ, _IV, _ID, _AP, _MOFFS, _IW_IB = range(1, 9)

NO_GROUP: Final = 0xFF
"""In place of the kind of a group's immediate: there is no such group."""

NOP_ROOM: Final = 9
"""Length and bytes of a no-op in the tables."""

# Where each table begins in the array that holds them all.
KINDS: Final = 0
LEGACY: Final = KINDS + 256
PROCESSOR: Final = LEGACY + 3 * 4 * 256
ONE_BYTE: Final = PROCESSOR + 3 * 4 * 256
VECTORS: Final = ONE_BYTE + 2 * 256
GROUPS: Final = VECTORS + 3 * 32 * 4 * 256
VECTOR_GROUPS: Final = GROUPS + 4 * 4 * 256 * 2
FORCE64: Final = VECTOR_GROUPS + 3 * 32 * 256 * 2
INVALID: Final = FORCE64 + 256
NOPS: Final = INVALID + 256
END: Final = NOPS + 8 * NOP_ROOM

# Where the parts of a form lie in it; the kinds of prefixes have the 11 bits from 0 on.
_COLUMN, _REX_KIND, _REX, _VECTOR, _MAP, _VECTOR_PP = 11, 13, 15, 23, 25, 30
_ESCAPE, _OPCODE, _MOD3, _RIP, _REG, _LENGTH, _UNDECODABLE, _NOP = 32, 34, 42, 43, 44, 47, 49, 50
_OWN: Final = 1 << 61
"""Mark of a form that only instructions with the same bytes have."""

_PRIMES: Final = (2147483647, 2147483629)
_SPREAD: Final = 0x1E3779B97F4A7C15
"""Odd, and without a pattern."""
_HIGH: Final = 40
"""Bits of the product that are dropped: those above depend on all of a form."""


def has_own_form(form: int) -> bool:
    """Tell whether *form* is that of certain bytes, and says nothing else of them."""
    return form >= _OWN


def _own_form(code: Bytes, at: int) -> int:
    """Number the form that only the 16 bytes at *at* have."""
    high, low = 0, 0
    for n in range(16):
        high = (high * 256 + code[at + n]) % _PRIMES[0]
        low = (low * 257 + code[at + n]) % _PRIMES[1]
    return _OWN | high << 30 ^ low


def _end_of_modrm(code: Bytes, pos: int, limit: int, addr: int) -> int:
    """Find the end of ModRM, SIB and displacement; beyond *limit*: they do not fit."""
    if pos >= limit:
        return limit + 1
    mod, rm = code[pos] >> 6, code[pos] & 7
    pos += 1
    if mod == 3:
        return pos
    if addr == 2:
        return int(pos + (mod if mod else 2 * (rm == 6)))
    if rm == 4:
        if pos >= limit:
            return limit + 1
        rm = code[pos] & 7
        pos += 1
    if mod == 0:
        return int(pos + 4 * (rm == 5))
    return pos + (1 if mod == 1 else 4)


def _immediate_size(kind: int, opnd: int, addr: int) -> int:
    """Measure an immediate, for operands and addresses of so many bytes; `_TOO_LONG`: none fits."""
    narrow = 2 if opnd == 2 else 4
    if kind == _IB:
        return 1
    if kind == _IZ:
        return narrow
    if kind == _IV:
        return opnd
    if kind == _IW:
        return 2
    if kind == _ID:
        return 4
    if kind == _MOFFS:
        return addr
    if kind == _IW_IB:
        return 3
    if kind == _AP:
        return _TOO_LONG if opnd == 8 else narrow + 2
    return 0


def _is_nop(code: Bytes, at: int, size: int, tables: Bytes) -> bool:
    """Tell whether it is one of the no-ops that the kernel itself uses."""
    for first in range(NOPS, END, NOP_ROOM):
        if tables[first] == size:
            same = True
            for n in range(size):
                same = same and code[at + n] == tables[first + 1 + n]
            if same:
                return True
    return False


def _hypervisor(code: Bytes, at: int) -> bool:
    """Tell whether ud2 is followed by a name that the kernel takes for its own mark."""
    if code[at] != 0x0F or code[at + 1] != 0x0B:
        return False
    xen = code[at + 2] == 0x78 and code[at + 3] == 0x65 and code[at + 4] == 0x6E
    kvm = code[at + 2] == 0x6B and code[at + 3] == 0x76 and code[at + 4] == 0x6D
    return bool(xen or kvm)


def measure(code: Bytes, at: int, bits: int, tables: Bytes) -> tuple[int, int]:
    """Give length, as the processor has it, and form of the instruction at *at*.

    16 bytes are there. What cannot be decoded has length 1.
    """
    limit, pos, byte = at + MAX_INSN_SIZE, at, code[at]

    mask, count, last, mandatory, opnd, addr = 0, 0, 0, 0, 4, bits // 8
    while tables[KINDS + byte]:
        bit = 1 << tables[KINDS + byte] - 1
        if not mask & bit:
            if count == 4:
                break  # a fifth kind: the kernel takes it for the opcode
            mask |= bit
            count += 1
            if byte == 0x66:
                opnd = 2
            elif byte == 0x67:
                addr = 4 if bits == 64 else 2
        last = byte
        if byte >= 0xF2:
            mandatory = byte - 0xF1
        pos += 1
        if pos >= limit:
            return 1, 1 << _UNDECODABLE
        byte = code[pos]
    column = 1 if last == 0x66 else 2 if last == 0xF3 else 3 if last == 0xF2 else 0
    wanted = 4 - mandatory if mandatory else int(opnd == 2)
    form = mask | column << _COLUMN

    rex = payload = 0
    if bits == 64 and (byte & 0xF0 == 0x40 or byte == 0xD5):
        rex = 1 if byte != 0xD5 else 2
        pos += rex
        if pos >= limit:
            return 1, 1 << _UNDECODABLE
        payload = code[pos - 1]
        form |= rex << _REX_KIND | (payload & 0xFF) << _REX
        if payload & 8:
            opnd = 8
        byte = code[pos]

    vex = 0
    leads = byte == 0xC4 or byte == 0xC5 or byte == 0x62 or byte == 0x8F
    if not rex and leads:
        second = code[pos + 1]
        pop = byte == 0x8F and not second & 0x38
        if pos + 1 < limit and not pop and (bits == 64 or second & 0xC0 == 0xC0):
            vex = 1 if byte >= 0xC4 else 2 if byte == 0x62 else 3

    # Releases before 6.18 take REX and a vector prefix together, and XOP for a pop.
    varies = vex == 3 or (rex == 1 and leads)
    escape = third = 0
    if vex:
        size = 2 if byte == 0xC5 else 4 if byte == 0x62 else 3
        if pos + size >= limit:
            return 1, 1 << _UNDECODABLE
        second, third = code[pos + 1], code[pos + 2]
        number = 1 if size == 2 else second & 7 if size == 4 else second & 0x1F
        pp = 0 if vex == 3 else (second if size == 2 else third) & 3
        if size > 2 and bits == 64 and code[pos + size - 1] & 0x80:
            opnd = 8  # of EVEX this is not W but z: the kernel looks there
        pos += size
        opcode = code[pos]
        attr = known = tables[VECTORS + ((vex - 1) * 32 + number) * 1024 + pp * 256 + opcode]
        if not attr:
            attr = _MODRM | (_IB if number == 3 else 0)
        if vex == 2 and number == 4 and pp == 1 and not third & 0x80:
            opnd = 2
        group = VECTOR_GROUPS + 2 * (((vex - 1) * 32 + number) * 256 + opcode)
        kind, members = tables[group], tables[group + 1]
        form |= vex << _VECTOR | number << _MAP | pp << _VECTOR_PP
    else:
        opcode = byte
        if rex == 2:
            escape = int(payload >> 7)
        elif opcode == 0x0F:
            if pos + 1 >= limit:
                return 1, 1 << _UNDECODABLE
            pos += 1
            opcode = code[pos]
            escape = 2 if opcode == 0x38 else 3 if opcode == 0x3A else 1
            if escape > 1:
                pos += 1
                if pos >= limit:
                    return 1, 1 << _UNDECODABLE
                opcode = code[pos]
        if escape:
            attr = tables[PROCESSOR + ((escape - 1) * 4 + wanted) * 256 + opcode]
            known = tables[LEGACY + ((escape - 1) * 4 + column) * 256 + opcode]
        else:
            attr = known = tables[ONE_BYTE + 256 * (rex == 2) + opcode]
        group = GROUPS + 2 * ((escape * 4 + (wanted if escape else 0)) * 256 + opcode)
        kind, members = tables[group], tables[group + 1]
        if bits == 64 and (
            (not escape and tables[FORCE64 + opcode]) or (escape == 1 and opcode >> 4 == 8)
        ):
            opnd = 8
    pos += 1
    form |= escape << _ESCAPE | opcode << _OPCODE

    end, modrm = pos, 0
    if attr & _MODRM:
        modrm = code[pos]
        end = _end_of_modrm(code, pos, limit, addr)
        form |= (modrm >> 6 == 3) << _MOD3 | (modrm & 0xC7 == 5) << _RIP | (modrm >> 3 & 7) << _REG
    immediate = attr & _IMM
    if attr & _GROUP and kind != NO_GROUP:
        immediate = kind if members >> (modrm >> 3 & 7) & 1 else 0
    end += _immediate_size(immediate, opnd, addr)
    size = end - at
    step = 1 if tables[INVALID + opcode] and not vex and (rex == 2 or not escape) else size
    missed = known & _VECTOR_ONLY == 0 and known != attr and (known or not vex)
    if missed or varies or _hypervisor(code, at):
        return step if end <= limit else 1, _own_form(code, at)
    if end > limit:
        return 1, form | 1 << _UNDECODABLE
    form |= (size if size < 3 else 3 * (size == 5)) << _LENGTH
    if (opcode == 0x90 or opcode == 0x1F) and _is_nop(code, at, size, tables):
        form |= 1 << _NOP
    return step, form


def enter(
    forms: Numbers,
    numbers: Numbers,
    slots: int,
    slot_form: Numbers,
    slot_number: Numbers,
    mask: int,
) -> None:
    """Copy a hash table of *slots* places (-1: an empty one) to one of *mask* + 1."""
    for n in range(slots):
        if forms[n] >= 0:
            slot = (forms[n] * _SPREAD >> _HIGH) & mask
            while slot_form[slot] >= 0:
                slot = slot + 1 & mask
            slot_form[slot] = forms[n]
            slot_number[slot] = numbers[n]


_SIB: Final = 60
"""Bit of a short cut whose length depends on the SIB byte behind ModRM."""
_WIDE: Final = 59
"""Bit of a short cut whose length depends on REX.W."""
_SIZE: Final = 53
"""Where a short cut has its length."""
_FORM: Final = (1 << 51) - 1


def find_short_cuts(bits: int, tables: Bytes, code: Bytes, cuts: Numbers) -> None:
    """Measure what begins with each opcode and ModRM, one-byte opcodes first, then 0f ones.

    0: more than these bytes decides. Else length, and form without its length. *code* is room for
    an instruction.
    """
    for n in range(2 * 65536):
        at = n >> 16
        for byte in range(20):
            code[byte] = 0
        code[0] = 0x0F
        code[at] = n >> 8 & 0xFF
        code[at + 1] = n & 0xFF
        first, opcode = code[0], code[at]
        vector = first == 0x62 or first == 0x8F or first == 0xC4 or first == 0xC5
        rex = bits == 64 and (first & 0xF0 == 0x40 or first == 0xD5)
        legacy = tables[KINDS + first] or rex or vector or (first == 0x0F and not at)
        invalid = not at and tables[INVALID + opcode]
        escape = at and (opcode == 0x38 or opcode == 0x3A or opcode == 0x0B)
        nop = opcode == 0x90 or opcode == 0x1F
        cuts[n] = 0
        if legacy or invalid or escape or nop:
            continue
        size, form = measure(code, 0, bits, tables)
        code[at + 2] = 5  # as a SIB byte: a displacement instead of a base
        longer, same = measure(code, 0, bits, tables)
        length = 3 << _LENGTH
        if (
            not has_own_form(form)
            and form >> _UNDECODABLE & 1 == 0
            and form & ~length == same & ~length
        ):
            wide = not at and opcode & 0xF8 == 0xB8
            cuts[n] = (form & ~length) | size << _SIZE | (longer != size) << _SIB | wide << _WIDE


AT, FOUND, FORMS, START, ROOM = range(5)
"""What `sweep` keeps: place, number of instructions, number of forms, index of the next start, and
how many forms there may be until it has to be given larger arrays."""


def sweep(
    code: Bytes,
    stop: int,
    starts: Numbers,
    bits: int,
    tables: Bytes,
    cuts: Numbers,
    places: Numbers,
    sizes: Numbers,
    numbers: Numbers,
    slot_form: Numbers,
    slot_number: Numbers,
    mask: int,
    new_form: Numbers,
    new_index: Numbers,
    state: Numbers,
) -> None:
    """Cut *code* from `state[AT]` on, until *stop* or until the forms have no room.

    Told are place, size and number of form of each instruction, and of each new form which it is,
    and the first instruction that has it. The slots are a hash table of forms and their numbers.
    """
    at, count, forms, index = state[AT], state[FOUND], state[FORMS], state[START]
    first = forms
    room, start = state[ROOM], starts[index]
    wide = bits == 64
    while at < stop and forms < room:
        while start <= at:
            index += 1
            start = starts[index]
        # Calls would cost more than the work, so what most instructions need stands here.
        has_rex = int(wide and code[at] & 0xF0 == 0x40)
        pos = at + has_rex
        escape = int(code[pos] == 0x0F)
        pos += escape
        cut = cuts[escape << 16 | code[pos] << 8 | code[pos + 1]]
        if cut:
            more = (cut >> _SIB & (code[pos + 2] & 7 == 5)) | (
                cut >> _WIDE & has_rex & code[at] >> 3
            )
            size = (cut >> _SIZE & 0x1F) + has_rex + 4 * more
            form = cut & _FORM | has_rex * (1 << _REX_KIND | code[at] << _REX)
            form |= (size if size < 3 else 3 * (size == 5)) << _LENGTH
        else:
            size, form = measure(code, at, bits, tables)
        if at + size > start:
            at = start
            continue
        slot = (form * _SPREAD >> _HIGH) & mask
        while slot_form[slot] != form and slot_form[slot] >= 0:
            slot = slot + 1 & mask
        if slot_form[slot] < 0:
            slot_form[slot] = form
            slot_number[slot] = forms
            new_form[forms - first] = form
            new_index[forms - first] = count
            forms += 1
        places[count] = at
        sizes[count] = size
        numbers[count] = slot_number[slot]
        count += 1
        at += size
    state[AT] = at
    state[FOUND] = count
    state[FORMS] = forms
    state[START] = index
