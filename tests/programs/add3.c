/* The smallest program worth probing: a function of three arguments. */
#include <stdio.h>

__attribute__((noinline)) long add3(long a, long b, long c)
{
	__asm__ volatile("" : "+r"(a));
	return a + b + c;
}

int main(void)
{
	for (long i = 0; i < 4; i++)
		printf("add3(%ld, %ld, %ld) = %ld\n", i, 10 * i, -i, add3(i, 10 * i, -i));
	return 0;
}
