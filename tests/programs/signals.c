/* Signals and their frames: what handlers see, what they may change, who waits for whom. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined __x86_64__
#define PC(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define RESULT(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#elif defined __i386__
#define PC(uc) ((uc)->uc_mcontext.gregs[REG_EIP])
#define RESULT(uc) ((uc)->uc_mcontext.gregs[REG_EAX])
#elif defined __aarch64__
#define PC(uc) ((uc)->uc_mcontext.pc)
#define RESULT(uc) ((uc)->uc_mcontext.regs[0])
#elif defined __riscv
#define PC(uc) ((uc)->uc_mcontext.__gregs[REG_PC])
#define RESULT(uc) ((uc)->uc_mcontext.__gregs[REG_A0])
#elif defined __powerpc64__
#define PC(uc) ((uc)->uc_mcontext.gp_regs[32])
#define RESULT(uc) ((uc)->uc_mcontext.gp_regs[3])
#elif defined __GLIBC__
#define PC(uc) ((uc)->uc_mcontext.uc_regs->gregs[32])
#define RESULT(uc) ((uc)->uc_mcontext.uc_regs->gregs[3])
#else
#define PC(uc) ((uc)->uc_mcontext.gregs[32])
#define RESULT(uc) ((uc)->uc_mcontext.gregs[3])
#endif

static volatile int seen;
static sigjmp_buf away;

static void install(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
	sigemptyset(&action.sa_mask);
	sigaction(sig, &action, NULL);
}

__attribute__((noinline)) int probed(int value)
{
	__asm__ volatile("");
	return value * 3 + 1;
}

/* --- what a handler is told -------------------------------------------- */

static void told(int sig, siginfo_t *info, void *context)
{
	seen++;
	printf("signal %d code %d", sig, info->si_code);
	if (info->si_code <= 0)
		printf(" from %s", info->si_pid == getpid() ? "myself" : "another");
	printf(", probed %d\n", probed(seen));
}

/* --- a fault that a handler steps over ---------------------------------- */

static long *nowhere;

#if defined __x86_64__ || defined __i386__
__attribute__((naked, noinline)) static long load(long *from)
{
#if defined __x86_64__
	__asm__("movq (%rdi), %rax; ret");
#else
	__asm__("movl 4(%esp), %eax; movl (%eax), %eax; ret");
#endif
}
enum { LENGTH = sizeof(long) == 8 ? 3 : 2 };
#elif defined __aarch64__ || defined __riscv
__attribute__((naked, noinline)) static long load(long *from)
{
#if defined __aarch64__
	__asm__("ldr x0, [x0]; ret");
#else
	__asm__(".option norvc; ld a0, 0(a0); ret");
#endif
}
enum { LENGTH = 4 };
#else
__attribute__((noinline)) static long load(long *from)
{
	long value;
	__asm__ volatile("lwz %0, 0(%1)" : "=r"(value) : "b"(from));
	return value;
}
enum { LENGTH = 4 };
#endif

static void step_over(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	printf("signal %d code %d address %p\n", sig, info->si_code, info->si_addr);
#if defined __x86_64__ || defined __i386__
	printf("trapno %d err %d cr2 %lx\n", (int)uc->uc_mcontext.gregs[REG_TRAPNO],
	       (int)uc->uc_mcontext.gregs[REG_ERR],
#if defined __x86_64__
	       (long)uc->uc_mcontext.gregs[REG_CR2]);
#else
	       (long)uc->uc_mcontext.cr2);
#endif
#endif
	PC(uc) += LENGTH;
	RESULT(uc) = 4711;
}

/* --- out of a handler by a jump ----------------------------------------- */

static void jump(int sig, siginfo_t *info, void *context)
{
	printf("signal %d code %d\n", sig, info->si_code);
	siglongjmp(away, sig);
}

/* --- a handler that uses every floating-point register ------------------- */

static volatile double sink;

static void compute(int sig, siginfo_t *info, void *context)
{
	double a = seen + 1.5, b = a * 2, c = b / 3, d = c - a, e = d * d, f = e + b, g = f * c;
	sink = a + b * c - d / e + f * g;
	seen++;
}

static void on_stack(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char here;
	char *low = uc->uc_stack.ss_sp;
	printf("on the other stack: %d, flags %d\n",
	       &here >= low && &here < low + uc->uc_stack.ss_size, uc->uc_stack.ss_flags);
}

static void count(int sig, siginfo_t *info, void *context)
{
	seen++;
}

static void nest(int sig, siginfo_t *info, void *context)
{
	int depth = seen++;
	if (depth < 3)
		raise(sig);
	printf("nested %d of %d\n", depth, seen);
}

static void alarm_in(long usec)
{
	struct itimerval value = {.it_value = {.tv_usec = usec}};
	setitimer(ITIMER_REAL, &value, NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	install(SIGUSR1, told, 0);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);

	install(SIGSEGV, step_over, 0);
	printf("loaded %d\n", (int)load(nowhere));

	for (int i = 0; i < 3; i++) {
		install(SIGSEGV, jump, 0);
		int sig = sigsetjmp(away, 1);
		if (sig)
			printf("back by signal %d\n", sig);
		else
			load(nowhere);
	}

	double x = 1.25, y = 7;
	install(SIGUSR2, compute, 0);
	y = y / 3;
	for (int i = 0; i < 5; i++) {
		x = x * y - i;
		raise(SIGUSR2);
	}
	printf("%.17g\n", x);

	static char stack[65536];
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack}, old;
	sigaltstack(&alt, NULL);
	install(SIGUSR1, on_stack, SA_ONSTACK);
	raise(SIGUSR1);
	sigaltstack(NULL, &old);
	printf("it is still there: %d\n", old.ss_sp == stack);

	seen = 0;
	install(SIGUSR2, nest, SA_NODEFER);
	raise(SIGUSR2);
	seen = 0;
	install(SIGUSR2, nest, 0);
	raise(SIGUSR2);

	sigset_t set, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	install(SIGUSR2, count, 0);
	install(SIGALRM, count, 0);
	seen = 0;
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	raise(SIGUSR2);
	sigpending(&pending);
	printf("blocked: seen %d, pending %d\n", seen, sigismember(&pending, SIGUSR2));
	sigset_t none;
	sigemptyset(&none);
	sigsuspend(&none);
	sigprocmask(SIG_BLOCK, NULL, &none);
	printf("suspended: seen %d, blocked again %d\n", seen, sigismember(&none, SIGUSR2));
	raise(SIGUSR2);
	int got = 0;
	sigwait(&set, &got);
	printf("waited for %d, seen %d\n", got, seen);
	sigprocmask(SIG_UNBLOCK, &set, NULL);

	struct timespec time = {.tv_sec = 2}, left = {0};
	alarm_in(20000);
	int result = nanosleep(&time, &left);
	printf("slept: %d %s, left %d\n", result, strerror(errno), left.tv_sec > 0);

	int ends[2];
	char byte;
	pipe(ends);
	alarm_in(20000);
	result = read(ends[0], &byte, 1);
	printf("read: %d %s\n", result, strerror(errno));
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		usleep(20000);
		kill(parent, SIGUSR2);
		usleep(20000);
		write(ends[1], "x", 1);
		raise(SIGTERM);
	}
	install(SIGUSR2, count, SA_RESTART);
	seen = 0;
	result = read(ends[0], &byte, 1);
	printf("read again: %d %c, seen %d\n", result, byte, seen);
	int status;
	waitpid(child, &status, 0);
	printf("child: killed %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));

	alarm_in(5000);
	pause();
	printf("paused: %s\n", strerror(errno));

	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	struct itimerspec once = {.it_value = {.tv_nsec = 3000000}}, rest;
	event.sigev_value.sival_int = 77;
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &once, NULL);
	siginfo_t info;
	got = sigwaitinfo(&set, &info);
	timer_gettime(timer, &rest);
	printf("timer: %d, code %d value %d, left %d\n", got - SIGRTMIN, info.si_code,
	       info.si_value.sival_int, rest.it_value.tv_nsec != 0);
	timer_delete(timer);
	union sigval value = {.sival_int = 5};
	for (int i = 0; i < 3; i++, value.sival_int++)
		sigqueue(getpid(), SIGRTMIN + 1, value);
	for (int i = 0; i < 3; i++) {
		sigwaitinfo(&set, &info);
		printf("queued: code %d value %d\n", info.si_code, info.si_value.sival_int);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	struct sigaction asked;
	sigaction(SIGUSR1, NULL, &asked);
	printf("ignored: %d\n", asked.sa_handler == SIG_IGN);
	install(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &asked);
	printf("once: %d\n", asked.sa_handler == SIG_DFL);
	return 0;
}
