/* A filter: standard input in upper case on standard output, a count on standard error. */
#include <ctype.h>
#include <stdio.h>

__attribute__((noinline)) int upper(int c)
{
	return toupper(c);
}

int main(void)
{
	long n = 0;

	for (int c; (c = getchar()) != EOF; n++)
		putchar(upper(c));
	fprintf(stderr, "%ld bytes\n", n);
	return ferror(stdin) || ferror(stdout);
}
