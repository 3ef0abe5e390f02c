/* Every way to end: `exit N`, `segv`, `trap`, `illegal`, `abort`, or by a return from main. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__powerpc__)
#define TRAP "trap"
#define ILLEGAL ".long 0"
#elif defined(__aarch64__)
#define TRAP "brk #5"
#define ILLEGAL "udf #0"
#elif defined(__riscv)
#define TRAP "ebreak"
#define ILLEGAL ".half 0"
#else
#define TRAP "int3"
#define ILLEGAL "ud2"
#endif

/* `trap_here` is the trap instruction itself: the kernel refuses a probe on it. */
void trap_here(void);
__asm__(".globl trap_here\n.type trap_here, %function\ntrap_here:\n" TRAP "\n"
#if defined(__powerpc__)
	"blr\n"
#else
	"ret\n"
#endif
	".size trap_here, .-trap_here\n");

__attribute__((noinline)) void end(const char *how, int status)
{
	if (strcmp(how, "segv") == 0)
		*(volatile int *)16 = 1;
	if (strcmp(how, "trap") == 0)
		__asm__ volatile(TRAP);
	if (strcmp(how, "illegal") == 0)
		__asm__ volatile(ILLEGAL);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "never") == 0)
		trap_here();
	exit(status);
}

int main(int argc, char **argv)
{
	printf("before\n");
	fflush(stdout);
	if (argc > 1)
		end(argv[1], argc > 2 ? atoi(argv[2]) : 0);
	return 42;
}
