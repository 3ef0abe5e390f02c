/* Children that start a program: this one, in other words, by fork, vfork and posix_spawn. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *self;

__attribute__((noinline)) int started(const char *how, int count)
{
	__asm__ volatile("");
	return printf("%s starts, %d arguments, in a process of its own: %d\n", how, count,
		      getpid() != getppid());
}

static void report(const char *how, pid_t pid)
{
	siginfo_t info = {0};
	int status = 0, early = waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	pid_t got = waitpid(pid, &status, 0);
	printf("%s: %d, code %d status %d, %d, exited %d with %d\n", how, early, info.si_code,
	       info.si_status, got == pid, WIFEXITED(status), WEXITSTATUS(status));
	printf("again: %d %s\n", waitpid(pid, &status, WNOHANG), strerror(errno));
}

__attribute__((noinline)) static pid_t by_vfork(char **args)
{
	pid_t pid = vfork();
	if (pid == 0) {
		execve(self, args, environ);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	self = argv[0];
	if (argc > 1) {
		started(argv[1], argc);
		return argv[1][0] & 0xf;
	}
	char *forked[] = {self, "a-fork", "x", NULL}, *vforked[] = {self, "b-vfork", NULL};
	char *spawned[] = {self, "c-spawn", "x", "y", NULL};

	pid_t pid = fork();
	if (pid == 0) {
		execve("/does/not/exist", forked, environ);
		printf("no such program: %s\n", strerror(errno));
		execve(self, forked, environ);
		_exit(127);
	}
	report("fork", pid);
	report("vfork", by_vfork(vforked));
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return 1;
	if (posix_spawn(&pid, self, NULL, NULL, spawned, environ))
		return 2;
	report("spawn", pid);
	int status = posix_spawn(&pid, "/does/not/exist", NULL, NULL, spawned, environ);
	printf("spawn of nothing: %s\n", strerror(status));
	signal(SIGCHLD, SIG_IGN);
	if (by_vfork(vforked) < 0)
		return 3;
	int none = wait(&status);
	printf("nobody is left: %d %s\n", none, strerror(errno));
	return 0;
}
