"""How the commands are called: where options may stand, and what becomes of failures."""

import os
import sys
from collections.abc import Iterable, Iterator

import typer
from typer.core import TyperGroup

SIGINT_STATUS = 130
SIGPIPE_STATUS = 141


class Commands(TyperGroup):
    """Commands whose group's options may also be given behind the command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Bring the group's own options to the front."""
        own = {name for param in self.params for name in param.opts if name != "--help"}
        return super().parse_args(ctx, hoist(args, own))

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command; a failure that is no bug of ours is one line and a status."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(SIGINT_STATUS) from None
        except BrokenPipeError:
            # Whoever read us has gone; the interpreter would complain once more as it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(SIGPIPE_STATUS) from None
        except Exception as exc:
            raise typer.Exit(_status(exc)) from None


def _status(exc: Exception) -> int:
    """Say in one line what went wrong: 1, the kernel says no; 2, bad input. Else it is a bug."""
    errors = sys.modules.get("uprobes_sim.errors")
    if errors is None:  # typer's own, then: nobody can have raised ours
        raise exc
    if isinstance(exc, errors.UprobesSimError):
        complain(str(exc))
        return 1 if isinstance(exc, errors.KernelError) else 2
    from uprobes_sim_cli.blame import blame_plugin

    blame = blame_plugin(exc)
    if blame is None:
        raise exc
    complain(blame)
    return 2


def complain(message: str) -> None:
    """Write one line to standard error."""
    sys.stdout.flush()
    typer.echo(f"uprobes-sim: {' '.join(message.split())}", err=True)


def hoist(args: Iterable[str], options: set[str]) -> list[str]:
    """Move *options*, each with its value, before all else; behind `--` nothing is ours."""
    front, rest = list[str](), list[str]()
    left = iter(args)
    for arg in left:
        name, equals, _ = arg.partition("=")
        if arg == "--":
            rest += [arg, *left]
        elif name not in options:
            rest.append(arg)
        elif equals or name == "--version":
            front.append(arg)
        else:
            front += [arg, _value(arg, left)]
    return front + rest


def _value(option: str, left: Iterator[str]) -> str:
    for value in left:
        return value
    raise typer.BadParameter(f"{option} wants a value")
