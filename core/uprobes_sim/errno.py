"""Errno values of Linux, the same on every host.

Python's own `errno` has the numbers of the machine it runs on, and lacks those
that never leave the kernel.
"""

from enum import IntEnum


class Errno(IntEnum):
    """Errors of the kernel (include/uapi/asm-generic/errno.h, include/linux/errno.h)."""

    EPERM = 1
    ENOENT = 2
    ESRCH = 3
    EINTR = 4
    EIO = 5
    ENXIO = 6
    E2BIG = 7
    ENOEXEC = 8
    EBADF = 9
    ECHILD = 10
    EAGAIN = 11
    ENOMEM = 12
    EACCES = 13
    EFAULT = 14
    EBUSY = 16
    EEXIST = 17
    EXDEV = 18
    ENODEV = 19
    ENOTDIR = 20
    EISDIR = 21
    EINVAL = 22
    ENFILE = 23
    EMFILE = 24
    ENOTTY = 25
    ETXTBSY = 26
    EFBIG = 27
    ENOSPC = 28
    ESPIPE = 29
    EROFS = 30
    EMLINK = 31
    EPIPE = 32
    EDOM = 33
    ERANGE = 34
    ENAMETOOLONG = 36
    ENOSYS = 38
    ENOTEMPTY = 39
    ELOOP = 40
    EILSEQ = 84
    EOPNOTSUPP = 95
    ETIMEDOUT = 110
    EALREADY = 114
    ECANCELED = 125
    ERESTART = 85
    ERESTARTSYS = 512
    """The next four never leave the kernel: what becomes of a call that a signal interrupts."""
    ERESTARTNOINTR = 513
    ERESTARTNOHAND = 514
    ERESTART_RESTARTBLOCK = 516
    ENOTSUPP = 524
    """Kernel-internal, and not EOPNOTSUPP: user space sees "Unknown error 524"."""
