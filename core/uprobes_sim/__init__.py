"""An executable model of Linux uprobes, free of any architecture."""

from uprobes_sim.hookspecs import hookimpl

__all__ = ["hookimpl"]
