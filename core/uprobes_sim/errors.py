"""What can go wrong, as a caller of this package sees it.

UprobesSimError             bad input, or something that is not there
├── UnknownArchError        no plugin of that name is installed
├── PluginError             a plugin failed to import, raised, or answered nonsense
│   └── LinkError           the hooks of a plugin do not form a whole
├── UnknownKernelError      the version table has no such release
├── ProgramError            a file that cannot be loaded as a program
├── ProbeError              a probe that names no place in the program
├── EngineError             the engine cannot go on with the program
└── KernelError             the kernel says no, with an errno
    └── Refused             ... to this instruction, by a rule
"""

from uprobes_sim.errno import Errno


class UprobesSimError(Exception):
    """Base of every error that this package raises on purpose. One clear line."""


class UnknownArchError(UprobesSimError):
    """No plugin of that name is installed."""


class PluginError(UprobesSimError):
    """A plugin failed to import, raised, or answered nonsense."""


class LinkError(PluginError):
    """The hooks of a plugin do not form a whole."""


class UnknownKernelError(UprobesSimError):
    """The version table has no such release."""


class ProgramError(UprobesSimError):
    """A file that cannot be loaded as a program."""


class ProbeError(UprobesSimError):
    """A probe that names no place in the program."""

    def __init__(self, message: str, rule: str | None = None) -> None:
        """Say *message*; *rule*: the rule of `check` behind it, if there is one."""
        super().__init__(message)
        self.rule = rule


class EngineError(UprobesSimError):
    """The engine cannot go on: an instruction it lacks, say."""


class KernelError(UprobesSimError):
    """The kernel says no."""

    def __init__(self, errno: Errno, reason: str) -> None:
        """Carry *errno* and the *reason* in plain words."""
        super().__init__(f"{errno.name} ({errno.value}): {reason}")
        self.errno = errno
        self.reason = reason


class Refused(KernelError):
    """The kernel refuses to probe an instruction."""

    def __init__(self, errno: Errno, rule: str, reason: str) -> None:
        """Name the *rule* (`powerpc.trap`) that refused, and its *reason*."""
        super().__init__(errno, reason)
        self.rule = rule
