"""The door of the command: Ctrl-C is silent from here on, while all else is still imported."""

import sys


def main() -> None:
    """Run the command."""
    try:
        from uprobes_sim_cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)
