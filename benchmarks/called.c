/* What hits.py probes: a function called as often as the argument says. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) long called(long n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 1;
}

int main(int argc, char **argv)
{
	long n = 0, times = argc > 1 ? atol(argv[1]) : 100000;

	while (times--)
		n = called(n);
	printf("%ld\n", n);
	return 0;
}
