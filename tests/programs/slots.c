/* More threads than there are slots are stuck in one system call, which is probed. */
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 40 };

static int ends[2];
static volatile int started;
static int sum;

__attribute__((naked, noinline)) static long get(int fd, char *byte, long count)
{
#if defined __x86_64__
	__asm__("xorl %eax, %eax\n.globl get_syscall\nget_syscall: syscall; nop; ret");
#elif defined __i386__
	__asm__("push %ebx; mov 8(%esp), %ebx; mov 12(%esp), %ecx; mov 16(%esp), %edx\n"
		"mov $3, %eax\n.globl get_syscall\nget_syscall: int $0x80; pop %ebx; ret");
#else
	__asm__("li 0, 3\n.globl get_syscall\nget_syscall: sc; blr");
#endif
}

static void *work(void *arg)
{
	char byte = 0;
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	if (get(ends[0], &byte, 1) == 1)
		__atomic_add_fetch(&sum, byte, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	if (pipe(ends))
		return 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 2;
	while (started < THREADS)
		usleep(1000);
	usleep(10000);
	for (char i = 0; i < THREADS; i++)
		if (write(ends[1], &i, 1) != 1)
			return 3;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("sum %d\n", sum);
	return sum != THREADS * (THREADS - 1) / 2;
}
