"""What programs see of signals in memory: siginfo_t, sigset_t, stack_t (include/uapi)."""

from typing import Final

from uprobes_sim.arch import Abi
from uprobes_sim.signals import SYNCHRONOUS, SiCode, SigAltStack, SigInfo, Signal
from uprobes_sim.uapi import Layout

SIGINFO_SIZE: Final = 128
SIGSET_BYTES: Final = 8

_HEAD: Final = {32: "i:signo i i:code ", 64: "i:signo i i:code 4x "}
_KILL: Final = "i:pid I:uid L:value"
_TIMER: Final = "i:timer i L:value"
_CHILD: Final = "i:pid I:uid i:status"
_FAULT: Final = "L:addr"

SS_ONSTACK: Final = 1
SS_DISABLE: Final = 2
_STACK_T: Final = {32: Layout("L:sp i:flags L:size"), 64: Layout("L:sp i:flags 4x L:size")}


def pack_siginfo(info: SigInfo, abi: Abi) -> bytes:
    """Write a `siginfo_t` (copy_siginfo_to_user)."""
    layout = Layout(_HEAD[abi.bits] + _kind(info))
    values = {"signo": int(info.signal), "code": int(info.code)}
    values |= {name: getattr(info, name) for name in ("pid", "uid", "status", "timer", "addr")}
    values["value"] = info.value
    return layout.pack(abi.bits, abi.byteorder, values).ljust(SIGINFO_SIZE, b"\0")


def _kind(info: SigInfo) -> str:
    """Choose the member of the union (siginfo_layout)."""
    if info.code == SiCode.SI_TIMER:
        return _TIMER
    if info.code > SiCode.SI_USER and info.code != SiCode.SI_KERNEL:
        if info.signal is Signal.SIGCHLD:
            return _CHILD
        if info.signal in SYNCHRONOUS:
            return _FAULT
    return _KILL


def unpack_siginfo(signal: Signal, data: bytes, abi: Abi) -> SigInfo:
    """Read the `siginfo_t` that rt_sigqueueinfo sends with *signal*."""
    layout = Layout(_HEAD[abi.bits] + _KILL)
    found = layout.unpack(abi.bits, abi.byteorder, data[: layout.size(abi.bits)])
    return SigInfo(signal, found["code"], pid=found["pid"], uid=found["uid"], value=found["value"])


def pack_sigset(sigset: int, abi: Abi) -> bytes:
    """Write a `sigset_t`: an array of longs, signal 1 in the first whatever the byte order."""
    size = abi.bits // 8
    words = (sigset >> at & (1 << abi.bits) - 1 for at in range(0, 64, abi.bits))
    return b"".join(word.to_bytes(size, abi.byteorder) for word in words)


def unpack_sigset(data: bytes, abi: Abi) -> int:
    """Read a `sigset_t`."""
    size = abi.bits // 8
    words = (data[at : at + size] for at in range(0, SIGSET_BYTES, size))
    return sum(int.from_bytes(word, abi.byteorder) << n * abi.bits for n, word in enumerate(words))


def stack_t_size(abi: Abi) -> int:
    """Length of a `stack_t` in bytes."""
    return _STACK_T[abi.bits].size(abi.bits)


def pack_altstack(stack: SigAltStack | None, sp: int, abi: Abi) -> bytes:
    """Write a `stack_t`, as sigaltstack answers it to a task whose stack pointer is *sp*."""
    flags = SS_DISABLE if stack is None else SS_ONSTACK * (sp in stack)
    values = {"flags": flags}
    if stack is not None:
        values |= {"sp": stack.sp, "size": stack.size}
    return _STACK_T[abi.bits].pack(abi.bits, abi.byteorder, values)


def unpack_altstack(data: bytes, abi: Abi) -> tuple[SigAltStack | None, int]:
    """Read a `stack_t`; answer it and its flags."""
    found = _STACK_T[abi.bits].unpack(abi.bits, abi.byteorder, data)
    flags = found["flags"]
    return None if flags & SS_DISABLE else SigAltStack(found["sp"], found["size"]), flags
