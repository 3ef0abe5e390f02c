/* Every way to be hurt by an instruction, and what the handler is told of it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf away;
static const char *what;
static const long constant = 1;
static char *file;
static void *volatile place;

#if defined __x86_64__ || defined __i386__
#define TRAP "int3"
#define ILLEGAL "ud2"
#define PRIVILEGED "hlt"
#else
#define TRAP "trap"
#define ILLEGAL ".long 0"
#define PRIVILEGED "mfmsr 3"
#endif

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t at = (uintptr_t)info->si_addr;
	const char *where = at == 0 ? "nothing" : at == (uintptr_t)place ? "the place" : "the code";
	printf("%s: signal %d code %d at %s", what, sig, info->si_code, where);
#if defined __x86_64__
	greg_t *regs = uc->uc_mcontext.gregs;
	printf(", trapno %d err %d", (int)regs[REG_TRAPNO], (int)regs[REG_ERR]);
	if (regs[REG_TRAPNO] == 14)
		printf(" cr2 %d", regs[REG_CR2] == (greg_t)at);
#endif
	printf("\n");
	siglongjmp(away, 1);
}

#define TRY(name, at, code) \
	do { \
		what = name; \
		place = (void *)(at); \
		if (!sigsetjmp(away, 1)) { \
			code; \
			printf("%s: nothing happens\n", what); \
		} \
	} while (0)

__attribute__((noinline)) static void load(void) { *(volatile char *)place; }
__attribute__((noinline)) static void store(void) { *(volatile char *)place = 1; }
__attribute__((noinline)) static void call(void) { ((void (*)(void))place)(); }
__attribute__((noinline)) static void trap(void) { __asm__ volatile(TRAP); }
__attribute__((noinline)) static void illegal(void) { __asm__ volatile(ILLEGAL); }
__attribute__((noinline)) static void privileged(void) { __asm__ volatile(PRIVILEGED ::: "memory"); }

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
	int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FILE *empty = tmpfile();
	file = empty ? mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(empty), 0) : NULL;
	data[0] = 1;

	TRY("load from nowhere", 0x10, load());
	TRY("store to nowhere", 0x10, store());
	TRY("load from what may not be read", none, load());
	TRY("store to a constant", &constant, store());
	TRY("store to code", &load, store());
	TRY("jump to nowhere", 0x10, call());
#if defined __x86_64__
	TRY("jump to data", data, call());
	TRY("load from no address", 0x8000000000000000, load());
	TRY("division by zero", 0, __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx"));
#endif
	if (file)
		TRY("load from beyond a file", file, load());
	TRY("trap", 0, trap());
	TRY("no instruction", 0, illegal());
	TRY("the kernel's instruction", 0, privileged());
	return 0;
}
