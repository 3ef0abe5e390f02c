"""The system call interface of powerpc: arch/powerpc/include/uapi/asm."""

from typing import Final

from uprobes_sim.uapi import Layout, Uapi

_STAT64: Final = Layout(
    "Q:dev Q:ino I:mode I:nlink I:uid I:gid Q:rdev H 6x q:size i:blksize 4x q:blocks"
    " i:atime I:atime_nsec i:mtime I:mtime_nsec i:ctime I:ctime_nsec I I"
)

POWERPC64: Final = Uapi(
    stat=Layout(
        "L:dev L:ino L:nlink I:mode I:uid I:gid 4x L:rdev l:size L:blksize L:blocks"
        " L:atime L:atime_nsec L:mtime L:mtime_nsec L:ctime L:ctime_nsec L L L"
    ),
    stat64=_STAT64,
    sigaction=Layout("L:handler L:flags L:restorer"),
    o_directory=0o40000,
    o_nofollow=0o100000,
    o_largefile=0o200000,
    o_direct=0o400000,
    fionread=0x4004667F,
    fionbio=0x8004667E,
)
"""For 64-bit tasks, of either byte order."""

POWERPC32: Final = POWERPC64._replace(
    stat=Layout(
        "L:dev L:ino I:mode H:nlink 2x I:uid I:gid L:rdev l:size L:blksize L:blocks"
        " L:atime L:atime_nsec L:mtime L:mtime_nsec L:ctime L:ctime_nsec L L"
    ),
    aligned_pairs=True,
)
"""For 32-bit tasks."""
