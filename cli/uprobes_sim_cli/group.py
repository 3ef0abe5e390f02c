"""How the commands are called: where options may stand, and what becomes of failures."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from uprobes_sim_cli.plain import take_as_typed
from uprobes_sim_cli.streams import (
    STDOUT,
    complain,
    drop_unwritable,
    forget_no_width,
    open_closed,
    writing,
)

NAME: Final = "uprobes-sim"
SIGINT_STATUS = 130
SIGPIPE_STATUS = 141


class Commands(TyperGroup):
    """Commands whose group's options may also be given behind the command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Bring the group's own options to the front."""
        take_as_typed([*self.params, self.get_help_option(ctx)])
        own = {name for param in self.params for name in param.opts if name != "--help"}
        return super().parse_args(ctx, hoist(args, own))

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401  typer's
        """Find a command."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            take_as_typed([*found.params, found.get_help_option(ctx)])
        return found

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: object
    ) -> NoReturn:
        """Run the command; a failure that is no bug of ours is one line and a status."""
        open_closed()
        forget_no_width()
        try:
            status = self._run(sys.argv[1:] if args is None else args)
        except KeyboardInterrupt:
            status = SIGINT_STATUS
        except BrokenPipeError:  # whoever read us has gone
            status = SIGPIPE_STATUS
        except SystemExit as exc:
            if not isinstance(exc.__context__, BrokenPipeError):
                raise
            status = SIGPIPE_STATUS  # rich, which writes the help, makes 1 of it
        except Exception as exc:
            status = _status(exc)
        drop_unwritable()
        sys.exit(status)

    def _run(self, args: Sequence[str]) -> int:
        status = 0
        try:
            with self.make_context(NAME, list(args)) as ctx:
                self.invoke(ctx)
        except typer.Exit as exc:
            status = exc.exit_code
        with writing(STDOUT):
            sys.stdout.flush()
        return status


class WithArguments(TyperCommand):
    """A command that runs a program, whose arguments (`args`) stand behind `--` and only there."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Refuse an argument that stands before it, which was meant for a probe perhaps."""
        behind = len(args) - args.index("--") - 1 if "--" in args else 0
        rest = super().parse_args(ctx, args)
        given: Sequence[str] = ctx.params["args"] or []
        if len(given) > behind:
            raise typer.BadParameter(
                f"{given[0]} is no argument of the program: write -- {given[0]}, or -p {given[0]} "
                "for a probe",
                ctx=ctx,
            )
        return rest


def _status(exc: Exception) -> int:
    """Say in one line what went wrong: 1, the kernel says no; 2, bad input. Else it is a bug."""
    if hasattr(exc, "format_message"):  # UsageError, whose home differs between typer's releases
        complain(_usage(exc, exc.format_message()))
        return 2
    errors = sys.modules.get("uprobes_sim.errors")
    if errors is None:  # so there was only help to write, and nobody can have raised ours
        if not isinstance(exc, OSError):
            raise exc
        complain(f"cannot write {STDOUT}: {exc.strerror}")
        return 2
    if isinstance(exc, errors.UprobesSimError):
        complain(str(exc))
        return 1 if isinstance(exc, errors.KernelError) else 2
    from uprobes_sim_cli.blame import blame_plugin

    blame = blame_plugin(exc)
    if blame is None:
        raise exc
    complain(blame)
    return 2


def _usage(exc: Exception, message: str) -> str:
    """Say what was typed wrong in the words of typer, and where to read what is right."""
    ctx = getattr(exc, "ctx", None)
    command = NAME if ctx is None else ctx.command_path
    what = message.replace("Value error, ", "").removeprefix("Invalid value: ").rstrip(".")
    return f"{what[:1].lower()}{what[1:]}; see {command} --help"


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
