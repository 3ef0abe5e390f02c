/* What the demonstration probes: small functions, each with an instruction worth watching. */
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

NOINLINE long add3(long a, long b, long c)
{
	__asm__ volatile("" : "+r"(a));
	return a + b + c;
}

NOINLINE long fib(long n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

NOINLINE long total(const int *values, long n)
{
	long sum = 0;

	while (n-- > 0)
		sum += *values++;
	return sum;
}

NOINLINE double negative(double x)
{
	return -x;
}

NOINLINE double scale(double x)
{
	return x * 1.5 + 0.25;
}

NOINLINE long quotient(long a, long b)
{
	return a / b;
}

int main(void)
{
	static const int values[] = { 2, 3, 5, 7 };

	printf("add3(1, 2, 3) = %ld\n", add3(1, 2, 3));
	printf("fib(4) = %ld\n", fib(4));
	printf("total(values, 4) = %ld\n", total(values, 4));
	printf("negative(2.5) = %g\n", negative(2.5));
	printf("scale(1.5) = %g\n", scale(1.5));
	printf("quotient(100, 7) = %ld\n", quotient(100, 7));
	return 0;
}
