/* What engine.py runs: sorting, hashing, a sieve and recursion, nothing of the C library. */
#include <stdio.h>

#define N 4096

static unsigned numbers[N];
static unsigned char composite[1 << 16];

static unsigned hash(const unsigned char *p, unsigned size)
{
	unsigned sum = 2166136261u;

	while (size--)
		sum = (sum ^ *p++) * 16777619u;
	return sum;
}

static void sort(unsigned *a, int n)
{
	for (int gap = n / 2; gap > 0; gap /= 2)
		for (int i = gap; i < n; i++) {
			unsigned x = a[i];
			int j = i;

			for (; j >= gap && a[j - gap] > x; j -= gap)
				a[j] = a[j - gap];
			a[j] = x;
		}
}

static unsigned sieve(void)
{
	unsigned primes = 0;

	for (unsigned i = 2; i < sizeof composite; i++) {
		if (composite[i])
			continue;
		primes++;
		for (unsigned j = i + i; j < sizeof composite; j += i)
			composite[j] = 1;
	}
	return primes;
}

__attribute__((noinline)) static unsigned fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(void)
{
	unsigned seed = 1;

	for (int i = 0; i < N; i++)
		numbers[i] = seed = seed * 1664525u + 1013904223u;
	sort(numbers, N);
	printf("%u %u\n", numbers[0], hash(composite, sizeof composite));
	printf("%u %u\n", sieve(), hash(composite, sizeof composite));
	printf("%u\n", fib(20));
	return 0;
}
