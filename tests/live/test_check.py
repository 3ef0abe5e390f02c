"""What the rules of `check` tell beforehand, done on the running kernel."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from mmap import MAP_PRIVATE, PROT_EXEC, PROT_READ, mmap
from pathlib import Path
from signal import Signals

import pytest

from check_cases import EXCEPTIONS, compiled
from uprobes_sim.check.checker import Checked, Checker
from uprobes_sim.check.link import link_of
from uprobes_sim.choice import Options, link_for
from uprobes_sim.conformance.live_kernel import LiveKernel
from uprobes_sim.loader import load

INSIDE = """
#include <stdio.h>
unsigned f(void);
__asm__(".text\\n.globl f\\n.type f,@function\\nf: mov $0x11223344,%eax\\nret\\n.size f,.-f\\n");
int main(void) { printf("%x", f()); return 0; }
"""
CONSTANTS = """
#include <stdio.h>
__attribute__((section(".rodata"))) extern const unsigned char table[];
__asm__(".section .rodata\\n.globl table\\n.balign 8\\ntable: .byte 1,2,3,4\\n.text\\n");
const unsigned char *volatile at = table;
int main(void) { printf("%x", at[0]); return 0; }
"""
OWN_CODE = """
#include <stdio.h>
int f(int a);
__asm__(".section .writable,\\"awx\\",@progbits\\n.globl f\\n.type f,@function\\n"
        "f: lea 1(%rdi),%eax\\nret\\n.size f,.-f\\n.text\\n");
unsigned char *volatile at = (unsigned char *)f;
int main(int argc, char **argv) { printf("%d %d", at[0] == 0xcc, f(argc)); return 0; }
"""
KEEPS_RBX = """
#include <stdio.h>
long f(void);
__asm__(".text\\n.globl f\\n.type f,@function\\n"
        "f: push %rbx\\nnop\\npop %rax\\nret\\n.size f,.-f\\n.globl g\\n"
        "g: push %rbx\\nmov $5,%ebx\\ncall f\\npop %rbx\\nret\\n");
long g(void);
int main(void) { printf("%lx", g()); return 0; }
"""
STARTS = """
static long call(long number, long a, const void *b, long c) {
  long got;
  __asm__ volatile("syscall" : "=a"(got) : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return got;
}
__asm__(".text\\n.globl _start\\n.type _start,@function\\n"
        "_start: xor %ebp,%ebp\\nmov (%rsp),%rdi\\nand $-16,%rsp\\ncall begin\\nhlt\\n"
        ".size _start,.-_start\\n");
void begin(long argc) {
  char digits[16];
  int at = 16;
  do digits[--at] = "0123456789abcdef"[argc & 15]; while (argc >>= 4);
  call(1, 1, digits + at, 16 - at);
  call(231, 0, 0, 0);
}
"""
COROUTINES = """
#include <stdio.h>
#include <ucontext.h>
static ucontext_t whole, first, second;
static char stacks[2][65536];
__attribute__((noinline)) int f(int me) {
  ucontext_t *mine = me == 1 ? &first : &second;
  swapcontext(mine, &whole);
  return me;
}
static void one(void) { printf("%d", f(1) == 1); fflush(stdout); }
static void two(void) { printf("%d", f(2) == 2); fflush(stdout); }
static void make(ucontext_t *context, char *stack, void (*function)(void)) {
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = 65536;
  context->uc_link = &whole;
  makecontext(context, function, 0);
}
int main(void) {
  make(&first, stacks[0], one);
  make(&second, stacks[1], two);
  swapcontext(&whole, &first);
  swapcontext(&whole, &second);
  swapcontext(&whole, &first); /* the one that has entered f first leaves it first */
  swapcontext(&whole, &second);
  printf("end");
  return 0;
}
"""
LOCKED = """
#include <stdio.h>
long n;
void f(void);
__asm__(".text\\n.globl f\\n.type f,@function\\nf: lock incq n(%rip)\\nret\\n.size f,.-f\\n");
int main(void) { f(); printf("%ld %d", n, *(unsigned char *)f == 0xcc); return 0; }
"""


@dataclass(frozen=True)
class Case:
    """A program, a probe of which a rule warns, and what the program prints."""

    rule: str
    build: Callable[[Path], Path]
    probe: str
    without: str
    under: str | Signals
    """What is printed under the probe, or the signal by which it ends."""
    accepted: bool = True

    def __str__(self) -> str:
        return self.rule


CASES = (
    Case("check.inside_insn", compiled(INSIDE), "f+2", "11223344", "1122cc44"),
    Case("check.not_code", compiled(CONSTANTS), "{table}", "1", "cc"),
    Case("check.writable_segment", compiled(OWN_CODE), "f", "0 2", "0 2"),
    Case("check.return_inside", compiled(KEEPS_RBX), "f+1%return", "5", "7fffffffe000"),
    Case(
        "check.return_start",
        compiled(STARTS, "-nostdlib", "-static", "-fno-stack-protector"),
        "_start%return",
        "1",
        "7fffffffe000",
    ),
    Case(
        "check.return_exceptions",
        compiled(EXCEPTIONS, language="c++"),
        "_Z7throweri%return",
        "",
        Signals.SIGABRT,
    ),
    Case("check.return_stack_switch", compiled(COROUTINES), "f%return", "11end", Signals.SIGILL),
    Case("check.refused_at_mmap", compiled(LOCKED), "f", "1 0", "1 0", accepted=False),
)


def check(path: Path, probe: str) -> Checked:
    program = load(path)
    table = program.symbols.find("table")
    text = probe.format(table=f"{table[0].value:#x}" if table else "")
    (found,) = Checker(program, link_for(program, Options()), Options()).check(text)
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_program_ends_as_the_warning_says(
    case: Case, kernel: LiveKernel, tmp_path: Path
) -> None:
    path = case.build(tmp_path)
    found = check(path, case.probe)
    assert found.reading is not None
    run = [str(path)]

    before = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)
    returns = case.probe.endswith("%return")
    with kernel.probing(path, [found.reading.offset], returns=returns):
        after = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)

    assert case.rule in {each.rule for each in found.verdict.warnings}
    assert (found.verdict.verdict != "reject") == case.accepted
    assert (before.returncode, before.stdout) == (0, case.without)
    if isinstance(case.under, Signals):
        assert after.returncode == -case.under
    else:
        assert (after.returncode, after.stdout) == (0, case.under)


def test_a_return_probe_ends_a_go_program(kernel: LiveKernel, tmp_path: Path) -> None:
    installed = shutil.which("gosu")
    if installed is None:
        pytest.skip("gosu is not installed (Debian: gosu)")
    gosu = Path(shutil.copy(installed, tmp_path))
    found = check(gosu, "runtime.main%return")
    assert found.reading is not None
    run = [str(gosu), "root", "echo", "done"]

    before = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)
    with kernel.probing(gosu, [found.reading.offset], returns=True):
        after = subprocess.run(run, capture_output=True, text=True, timeout=20, check=False)

    assert before.stdout == "done\n"
    assert (after.returncode, after.stdout) == (2, "")
    assert "unexpected return pc for runtime.main called from 0x7fffffffe000" in after.stderr


def test_a_link_fails_for_those_symbols_that_are_told(kernel: LiveKernel, tmp_path: Path) -> None:
    """Of the C library's own, of which each place is attached once."""
    installed = Path("/lib/x86_64-linux-gnu/libc.so.6")
    if not installed.exists():
        pytest.skip(f"{installed} is not there (Debian: libc6)")
    path = Path(shutil.copy(installed, tmp_path))
    program = load(path)
    checker = Checker(program, link_for(program, Options()), Options())
    link = link_of("pthread_*", checker.matching("pthread_*"))
    failing = {found.reading.offset for found in link.failing if found.reading}
    without = {found.reading.offset for found in link.without if found.reading}

    with path.open("rb") as file, mmap(file.fileno(), 0, MAP_PRIVATE, PROT_READ | PROT_EXEC):
        with kernel.probing(path, sorted(without)):
            pass
        for offset in failing:
            with pytest.raises(OSError, match="ENOTSUPP"), kernel.probing(path, [offset]):
                pass
        with pytest.raises(OSError, match="ENOTSUPP"):
            kernel.probing(path, sorted(without | failing)).__enter__()

    assert failing
    assert len(without) > 50
