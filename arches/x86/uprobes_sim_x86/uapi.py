"""The system call interface of x86: arch/x86/include/uapi/asm."""

from typing import Final

from uprobes_sim.uapi import GENERIC, Layout, Uapi

_SIGACTION: Final = Layout("L:handler L:flags L:restorer")

X86_64: Final = Uapi(
    stat=Layout(
        "L:dev L:ino L:nlink I:mode I:uid I:gid 4x L:rdev l:size l:blksize l:blocks"
        " L:atime L:atime_nsec L:mtime L:mtime_nsec L:ctime L:ctime_nsec l l l"
    ),
    stat64=GENERIC.stat64,
    sigaction=_SIGACTION,
    clone_backwards=False,
)
"""For 64-bit tasks."""

I386: Final = Uapi(
    stat=Layout(
        "L:dev L:ino H:mode H:nlink H:uid H:gid L:rdev L:size L:blksize L:blocks"
        " L:atime L:atime_nsec L:mtime L:mtime_nsec L:ctime L:ctime_nsec L L"
    ),
    stat64=Layout(
        "Q:dev 4x L I:mode I:nlink L:uid L:gid Q:rdev 4x q:size L:blksize Q:blocks"
        " L:atime L:atime_nsec L:mtime L:mtime_nsec L:ctime L:ctime_nsec Q:ino"
    ),
    sigaction=_SIGACTION,
    mmap_by_pointer=True,
)
"""For 32-bit tasks."""
