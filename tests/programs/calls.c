/* Calls that return probes must survive: nested, recursive, tail, through pointers, longjmp. */
#include <setjmp.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

static jmp_buf out;

NOINLINE long fib(long n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

NOINLINE int is_odd(unsigned n);

NOINLINE int is_even(unsigned n)
{
	return n == 0 ? 1 : is_odd(n - 1);
}

NOINLINE int is_odd(unsigned n)
{
	return n == 0 ? 0 : is_even(n - 1);
}

NOINLINE long leaf(long x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3;
}

NOINLINE long tail(long x)
{
	return leaf(x + 1);
}

NOINLINE long twice(long (*f)(long), long x)
{
	return f(f(x));
}

NOINLINE void dive(int depth)
{
	if (depth == 0)
		longjmp(out, 7);
	dive(depth - 1);
	__asm__ volatile("" ::: "memory");
}

int main(void)
{
	long (*volatile f)(long) = tail;
	int jumped = setjmp(out);

	printf("fib(10) = %ld\n", fib(10));
	printf("is_even(9) = %d\n", is_even(9));
	printf("tail(4) = %ld\n", tail(4));
	printf("twice(tail, 2) = %ld\n", twice(f, 2));
	if (jumped == 0)
		dive(5);
	printf("jumped = %d\n", jumped);
	return 0;
}
