"""Files: the host's to read, changes in memory until they are committed."""

from uprobes_sim.vfs.file import Fd, File, FilesStruct
from uprobes_sim.vfs.streams import Stdin
from uprobes_sim.vfs.tree import Vfs

__all__ = ["Fd", "File", "FilesStruct", "Stdin", "Vfs"]
