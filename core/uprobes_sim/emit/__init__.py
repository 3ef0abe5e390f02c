"""Reproducers of known defects, for bug reports: C programs, and scripts around them."""

from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

from uprobes_sim.errata import Erratum
from uprobes_sim.version import Kernel

Language = Literal["c", "bpftrace", "perf"]

_RETURN_BODY: Final = """\
static long shown(int fd)
{
	(void)fd;
	return body();
}"""

_SCRIPT: Final = """\
#!/bin/sh
# {id}: {effect}
#
# Runs a few instructions without a probe, then under {tool}. As root, with {tool} and a C compiler.
set -e
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/victim.c" <<'END'
{victim}END
(cd "$dir" && {build})
echo "without a probe:"
"$dir/victim" || true
echo "with a probe:"
{probe}
echo "right with a probe: {right}; hits: {hits}. No value: killed by a signal"
"""

_VICTIM: Final = """\
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

long body(void);
extern const unsigned char spot[];

__asm__(".pushsection .text\\n"
        ".globl body, spot\\n"
        ".type body, @function\\n"
        ".type spot, @function\\n"
        "body:\\n"
{asm}
        ".size body, . - body\\n"
        ".size spot, . - spot\\n"
        ".popsection\\n");

{shown}

int main(void)
{{
	printf("%#lx\\n", shown(-1));
	return 0;
}}
"""

_PROBES: Final = {
    "bpftrace": """\
bpftrace -c "$dir/victim" -e "{kind}:$dir/victim:spot {{ @hits = count(); }}" """.rstrip(),
    "perf": """\
event=reproducer_$$:{event}
perf probe -q -x "$dir/victim" --add "reproducer_$$:spot=spot{suffix}"
trap 'perf probe -q --del "$event"; rm -rf "$dir"' EXIT
perf stat -e "$event" "$dir/victim" || true""",
}


@dataclass(frozen=True, slots=True)
class Reproducer:
    """A few instructions, one of which a probe hurts."""

    asm: str
    """As the GNU assembler takes it, one instruction a line, the probed one at label `spot`. It is
    the body of `long body(void)`; of a 32-bit program all of it, up to its exit."""
    shown: str = _RETURN_BODY
    """C: `static long shown(int fd)`, what is looked at. The tools of scripts give no fd: -1."""
    right: str = "without.value"
    """C: what it should be with a probe."""
    hits: int = 1
    """How many there should be."""
    holds_probe: bool = False
    """It needs the fd, which scripts do not have."""
    flags: str = ""
    """More for the compiler."""
    returns: bool = False
    """It takes a return probe at `spot`, where a function starts."""
    bits: Literal[32, 64] = 64
    base: int = 0x400000
    """Where a 32-bit program is loaded."""


def emit(erratum: Erratum, reproducer: Reproducer, language: Language, compiler: str) -> str:
    """Write the reproducer of *erratum*, to be compiled with *compiler*."""
    if language == "c":
        return _program(erratum, reproducer, compiler)
    build = _build(reproducer, compiler, "victim")
    return _SCRIPT.format(
        id=erratum.id,
        effect=erratum.effect,
        tool=language,
        victim=_VICTIM.format(asm=_quoted(reproducer.asm), shown=reproducer.shown),
        build=build,
        probe=_PROBES[language].format(
            kind="uretprobe" if reproducer.returns else "uprobe",
            suffix="%return" if reproducer.returns else "",
            event="spot__return" if reproducer.returns else "spot",
        ),
        right="as without one" if reproducer.right == "without.value" else reproducer.right,
        hits=reproducer.hits,
    )


def _program(erratum: Erratum, reproducer: Reproducer, compiler: str) -> str:
    name = "reproducer.c" if reproducer.bits == 64 else "program32.c"
    text = (resources.files(__package__) / name).read_text()
    values = {
        "ID": erratum.id,
        "EFFECT": erratum.effect,
        "KERNELS": _kernels(erratum),
        "INSTRUCTIONS": erratum.instructions,
        "EVIDENCE": erratum.evidence,
        "BUILD": _build(reproducer, compiler, "reproducer"),
        "ASM": _quoted(reproducer.asm),
        "SHOWN": reproducer.shown,
        "RIGHT": reproducer.right,
        "BASE": hex(reproducer.base),
        "RETURNS": str(int(reproducer.returns)),
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _build(reproducer: Reproducer, compiler: str, name: str) -> str:
    return " ".join(filter(None, (compiler, "-O1", reproducer.flags, f"-o {name} {name}.c")))


def _kernels(erratum: Erratum) -> str:
    until = "" if erratum.until is None else f", gone in {Kernel(erratum.until)}"
    return f"since {Kernel(erratum.since)}{until}"


def _quoted(asm: str) -> str:
    """Write assembler as lines of a C string."""
    return "\n".join(f'        "{line}\\n"' for line in asm.strip().splitlines())
