/* Fifty children, each with its own share of memory and a pipe back; all are waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int values[4096];

__attribute__((noinline)) int child(int number)
{
	__asm__ volatile("");
	for (int i = number; i < 4096; i += 64)
		values[i] += number + 1;
	return values[number];
}

int main(int argc, char **argv)
{
	int children = argc > 1 ? atoi(argv[1]) : 50, ends[2], sum = 0, seen = 0;

	if (pipe(ends))
		return 1;
	for (int i = 0; i < children; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 2;
		if (pid == 0) {
			int value = child(i);
			if (write(ends[1], &value, sizeof value) != sizeof value)
				_exit(255);
			_exit(value & 0x7f);
		}
	}
	close(ends[1]);
	for (int value; read(ends[0], &value, sizeof value) == sizeof value; seen++)
		sum += value;
	printf("%d answers, sum %d\n", seen, sum);

	int status, exited = 0, codes = 0;
	for (int i = 0; i < children; i++) {
		if (wait(&status) < 0)
			return 3;
		exited += WIFEXITED(status);
		codes += WEXITSTATUS(status);
	}
	printf("%d exited, codes %d\n", exited, codes);
	int dirty = 0;
	for (int i = 0; i < 4096; i++)
		dirty += values[i] != 0;
	printf("%d words of the parent have changed\n", dirty);
	return wait(&status) != -1;
}
