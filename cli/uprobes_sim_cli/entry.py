"""The door of the command: Ctrl-C is silent from here on, while all else is still imported."""

import gc
import sys


def main() -> None:
    """Run the command."""
    gc.set_threshold(100_000, 50)  # to look for garbage while modules are imported takes 10 ms
    try:
        from uprobes_sim_cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # to look for it when all is done and thrown away takes 40 ms
