"""The known defects of Linux on x86 as programs that show them."""

from typing import Final

from uprobes_sim.emit import Reproducer
from uprobes_sim_x86 import concerns

COMPILER: Final = "gcc"

_FURTHER: Final = ".fill 32, 1, 0x90"
"""More no-ops than a slot holds, so that whoever is left in the slot does not get away with it."""

_EXIT_32: Final = """
mov $1, %eax
int $0x80"""

_HAS_AREA: Final = """\
static long shown(int fd)
{
	char line[512];
	long stepped = 0;
	FILE *maps;

	(void)fd;
	body();
	/* Whatever is stepped out of line needs a page for its copy; pause should be. */
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps))
		stepped |= strstr(line, "[uprobes]") != NULL;
	return stepped;
}"""

_HITS: Final = """\
static long shown(int fd)
{
	long hits = 1;

	body();
	if (fd >= 0 && read(fd, &hits, sizeof(hits)) != sizeof(hits))
		hits = -1;
	return hits;
}"""

_CHILD: Final = """\
static long shown(int fd)
{
	int status;
	pid_t child;

	(void)fd;
	body(); /* the first hit makes the no-op a call */
	child = fork();
	if (child == 0)
		_exit(body());
	waitpid(child, &status, 0);
	return status;
}"""

_TRAP_NUMBER: Final = """\
static sigjmp_buf back;
static volatile long number;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	number = ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(back, 1);
}

static long shown(int fd)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	(void)fd;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	if (!sigsetjmp(back, 1))
		body();
	return number;
}"""

_UNMAPPED: Final = """\
static void handler(int signal)
{
	(void)signal;
}

static long shown(int fd)
{
	static const unsigned char code[] = { 0xcc, 0xc3 }; /* int3, ret */
	char path[32];
	void *mapped;
	int file = memfd_create("trap", 0);

	if (file < 0 || write(file, code, sizeof(code)) != sizeof(code))
		exit(2);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (fd >= 0 && probe(path, 0) < 0)
		exit(2); /* it is not there that a trap is refused */
	mapped = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	if (mapped == MAP_FAILED)
		exit(2);
	signal(SIGTRAP, handler);
	alarm(1);
	((void (*)(void))mapped)();
	return body();
}"""

_AFTERWARDS: Final = """\
static long shown(int fd)
{
	body();
	if (fd >= 0)
		close(fd);
	return spot[0]; /* the probe is gone: this should be what it was */
}"""

_FILTERED: Final = """\
static long shown(int fd)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the number of the call */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 335, 0, 1), /* uretprobe, known to no profile */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = filter };

	(void)fd;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		exit(2);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		exit(2);
	return body();
}"""

REPRODUCERS: Final = {
    concerns.AVX_AS_JUMP.id: Reproducer("""
mov $0xff, %eax
vmovd %eax, %xmm1
vpxor %xmm0, %xmm0, %xmm0
spot: vpor %xmm1, %xmm1, %xmm0
vmovd %xmm0, %eax
ret"""),
    concerns.AVX_AS_CALL.id: Reproducer("""
mov %rsp, %rcx
push $3
spot: vpsubsb %xmm0, %xmm0, %xmm0
pop %rax
mov %rcx, %rsp
ret"""),
    concerns.AVX_AS_RETURN.id: Reproducer(f"""
spot: vcmpps $1, %xmm1, %xmm0, %xmm0
{_FURTHER}
mov $1, %eax
ret"""),
    concerns.AVX_AS_FAR_CALL.id: Reproducer(
        f"""
spot: vfmsub132ps %xmm2, %xmm1, %xmm0
{_FURTHER}
xor %ebx, %ebx{_EXIT_32}""",
        bits=32,
    ),
    concerns.AVX_AS_POPF.id: Reproducer(f"""
spot: vfnmadd132ss %xmm2, %xmm1, %xmm0
{_FURTHER}
mov $1, %eax
ret"""),
    concerns.AVX_REFUSED.id: Reproducer("""
spot: vpxor %xmm0, %xmm0, %xmm0
mov $1, %eax
ret"""),
    concerns.XCHG_R8.id: Reproducer("""
mov $5, %eax
mov $7, %r8d
spot: .byte 0x49, 0x90 /* xchg %r8, %rax */
ret"""),
    concerns.PAUSE.id: Reproducer(
        """
spot: pause
ret""",
        _HAS_AREA,
        right="1",
    ),
    concerns.SIGILL_SKIPPED.id: Reproducer("""
spot: .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x90 /* ud2, the letters xen, a no-op */
mov $1, %eax
ret"""),
    concerns.SYSCALL.id: Reproducer("""
mov $39, %eax /* getpid */
spot: syscall
1: nop /* is executed in the slot as well */
lea 1b(%rip), %rdx
mov %rcx, %rax /* the address behind syscall */
sub %rdx, %rax
ret"""),
    concerns.PUSHF.id: Reproducer("""
spot: pushfq
pop %rax
and $0x100, %eax
ret"""),
    concerns.RED_ZONE.id: Reproducer(
        """
mov $2, %r9d
movq $7, -16(%rsp)
spot: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00 /* the no-op of five bytes */
dec %r9d
jnz spot
mov -16(%rsp), %rax
ret""",
        hits=2,
    ),
    concerns.FORK_OPTIMISED.id: Reproducer(
        """
spot: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00 /* the no-op of five bytes */
mov $1, %eax
ret""",
        _CHILD,
        hits=2,
    ),
    concerns.REP.id: Reproducer(
        """
mov $64, %ecx
lea -128(%rsp), %rdi
spot: rep stosb
ret""",
        _HITS,
        right="1",
    ),
    concerns.RIPREL_MISSED.id: Reproducer("""
.fill 8, 1, 0x90
xor %eax, %eax
spot: .byte 0xf2, 0x0f, 0x44, 0x05, 0xee, 0xff, 0xff, 0xff /* repne cmovz -18(%rip), %eax */
ret"""),
    concerns.BRANCH16.id: Reproducer(
        f"""
mov $2, %ecx
jmp spot
1: xor %ebx, %ebx{_EXIT_32}
spot: .byte 0x66, 0xe2, 1b - . - 1 /* loop, which leaves 16 bits of ip */
mov $2, %ebx{_EXIT_32}""",
        bits=32,
        base=0x8000,
    ),
    concerns.TRAP_NR.id: Reproducer(
        """
xor %eax, %eax
spot: mov (%rax), %al
ret""",
        _TRAP_NUMBER,
    ),
    concerns.OWN_INT3.id: Reproducer(
        """
spot: nop
int3
ret""",
        _TRAP_NUMBER,
    ),
    concerns.TRAP_LIVELOCK.id: Reproducer(
        """
spot: mov $1, %eax
ret""",
        _UNMAPPED,
        holds_probe=True,
    ),
    concerns.REX_B_LOST.id: Reproducer(
        """
spot: .byte 0x49, 0x8b, 0x05, 0xf9, 0xff, 0xff, 0xff /* mov -7(%rip), %rax with REX.B */
ret""",
        _AFTERWARDS,
        holds_probe=True,
    ),
    concerns.RETURN_SECCOMP.id: Reproducer(
        """
spot: mov $1, %eax
ret""",
        _FILTERED,
        returns=True,
    ),
    concerns.WORD_NOP.id: Reproducer("""
spot: .byte 0x66, 0x90
mov $1, %eax
ret"""),
}
