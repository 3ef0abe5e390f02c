"""`uprobes-sim errata`."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from uprobes_sim import choice, linker
from uprobes_sim.arch import ABIS
from uprobes_sim.errata import Erratum
from uprobes_sim.errors import LinkError, PluginError, UnknownArchError, UprobesSimError
from uprobes_sim.version import Kernel, Release
from uprobes_sim_cli import render
from uprobes_sim_cli.app import Format, Settings
from uprobes_sim_cli.options import session_options
from uprobes_sim_cli.streams import STDOUT, complain, writing

if TYPE_CHECKING:
    from uprobes_sim.emit import Language


def errata(settings: Settings, wanted: str | None, language: "Language | None" = None) -> int:
    """List known defects, those of the chosen machine if one is chosen, or show one."""
    rows = list(_rows(settings))
    if language is not None:
        if wanted is None:
            raise UprobesSimError("--emit wants the ID of an erratum; errata lists them")
        return _emit(*_find(rows, wanted), language)
    if wanted is not None:
        rows = [_find(rows, wanted)]
    objects = [_as_json(arch, erratum) for arch, erratum in rows]
    if settings.format is not Format.TEXT:
        render.print_objects(objects, array=settings.format is Format.JSON)
    elif wanted is None:
        render.print_table([_short(each) for each in objects])
    else:
        with writing(STDOUT):
            print(*_as_text(objects[0]), sep="\n")
    return 0


def _emit(arch: str, erratum: Erratum, language: "Language") -> int:
    """Print a program that shows *erratum*."""
    from uprobes_sim.emit import emit

    compiler, reproducer = link_any(arch).hook.arch_reproducer(erratum=erratum.id)
    if reproducer is None:
        raise UprobesSimError(f"there is no reproducer of {erratum.id}; `evidence` tells of one")
    if reproducer.bits == 32 and language != "c":
        raise UprobesSimError(f"{erratum.id} takes a 32-bit task: there is --emit c only")
    if reproducer.holds_probe and language != "c":
        raise UprobesSimError(
            f"{erratum.id} takes a program that holds the probe: there is --emit c only"
        )
    with writing(STDOUT):
        print(emit(erratum, reproducer, language, compiler), end="")
    return 0


def _rows(settings: Settings) -> Iterator[tuple[str, Erratum]]:
    chosen = any((settings.kernel, settings.cpu, settings.kconfig))
    for linked in _backends(settings):
        options = session_options(settings)
        config = choice.configure_as(linked, choice.kernel_of(linked, options), options)
        for erratum in linked.hook.arch_errata():
            if not chosen or erratum.id in config.in_force:
                yield linked.info.name, erratum


def _backends(settings: Settings) -> Iterator[linker.Linked]:
    """Link the backend that is asked for, or all that work and have the processor, if any."""
    if settings.arch is not None:
        yield link_any(settings.arch)
        return
    for arch in linker.installed():
        try:
            linked = link_any(arch)
        except (PluginError, UnknownArchError) as exc:
            complain(str(exc))
            continue
        if settings.cpu is None or settings.cpu in linked.info.cpus:
            yield linked


def link_any(arch: str) -> linker.Linked:
    """Link a backend for any ABI that it serves: errata are told of all."""
    refusal = LinkError(f"plugin {arch}: it serves no ABI")
    for abi in ABIS:
        try:
            return linker.link(arch, abi)
        except LinkError as exc:
            refusal = exc
    raise refusal


def _find(rows: list[tuple[str, Erratum]], wanted: str) -> tuple[str, Erratum]:
    for row in rows:
        if row[1].id == wanted:
            return row
    close = get_close_matches(wanted, [erratum.id for _, erratum in rows], 1)
    hint = f"did you mean {close[0]}?" if close else "uprobes-sim errata lists them"
    raise UprobesSimError(f"no erratum is called {wanted}; {hint}")


def _as_json(arch: str, erratum: Erratum) -> render.Json:
    """Give the object of an erratum; its keys are part of the interface."""
    return {
        "id": erratum.id,
        "arch": arch,
        "since": _release(erratum.since),
        "until": _release(erratum.until),
        "config": erratum.config,
        "cpu": list(erratum.cpus) or None,
        "instructions": erratum.instructions,
        "effect": erratum.effect,
        "severity": erratum.severity,
        "evidence": erratum.evidence,
        "upstream": erratum.upstream,
    }


def _release(release: Release | None) -> str | None:
    return None if release is None else str(Kernel(release))


def _short(erratum: render.Json) -> render.Json:
    return {key: erratum[key] for key in ("id", "severity", "since", "until", "instructions")}


def _as_text(erratum: render.Json) -> Iterator[str]:
    for key, value in erratum.items():
        if value is not None:
            yield f"{key:<13} {', '.join(value) if isinstance(value, list) else value}"
