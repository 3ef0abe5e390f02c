/*
 * @ID@: @EFFECT@
 *
 * Kernels: @KERNELS@.  Instructions: @INSTRUCTIONS@.
 * Known from: @EVIDENCE@.
 *
 * The program calls body() in a child of its own, first without a probe, then with a uprobe on the
 * instruction at `spot`, and prints what comes of both.  As root:
 *
 *     @BUILD@ && ./reproducer
 *
 * Exit status: 1, the defect shows; 0, it does not; 2, it could not be tried.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define TYPE "/sys/bus/event_source/devices/uprobe/type"

long body(void);
extern const unsigned char spot[];

__asm__(".pushsection .text\n"
        ".globl body, spot\n"
        ".type body, @function\n"
        "body:\n"
@ASM@
        ".size body, . - body\n"
        ".popsection\n");

/* Where spot is in the file: a uprobe belongs to a file and an offset. */
static unsigned long offset_of_spot(void)
{
	unsigned long start, end, offset, found = 0, at = (unsigned long)spot;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3)
			if (start <= at && at < end)
				found = at - start + offset;
	if (maps)
		fclose(maps);
	return found;
}

/* Put a uprobe on a place in a file, for this process; answer a file descriptor, or a negative errno. */
static int probe(const char *path, unsigned long offset)
{
	struct perf_event_attr attr;
	int type = 0, fd;
	FILE *file = fopen(TYPE, "r");

	if (!file || fscanf(file, "%d", &type) != 1) {
		fprintf(stderr, "%s cannot be read: this kernel has no uprobes for perf\n", TYPE);
		exit(2);
	}
	fclose(file);
	memset(&attr, 0, sizeof(attr));
	attr.type = type;
	attr.size = sizeof(attr);
	attr.config = @RETURNS@; /* 1: a return probe */
	attr.config1 = (unsigned long)path;
	attr.config2 = offset;
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	return fd < 0 ? -errno : fd;
}

/* What is looked at; fd is that of the probe, or -1. */
@SHOWN@

struct outcome {
	long value;
	int refused; /* errno of the registration */
	int signal;
};

static struct outcome trial(int probed)
{
	struct outcome *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct outcome outcome;
	int status;
	pid_t child = fork();

	if (child == 0) {
		int fd = probed ? probe("/proc/self/exe", offset_of_spot()) : -1;

		alarm(10); /* some defects make endless loops */
		if (probed && fd < 0)
			shared->refused = -fd;
		else
			shared->value = shown(fd);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		perror("child");
		exit(2);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		exit(2);
	outcome = *shared;
	outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return outcome;
}

static void print(const char *how, struct outcome outcome)
{
	if (outcome.refused)
		printf("%s: refused, errno %d\n", how, outcome.refused);
	else if (outcome.signal)
		printf("%s: killed by signal %d (%s)\n", how, outcome.signal, strsignal(outcome.signal));
	else
		printf("%s: %#lx\n", how, outcome.value);
}

int main(void)
{
	struct outcome without = trial(0), with = trial(1);
	int differs;

	if (with.refused == EACCES || with.refused == EPERM) {
		fprintf(stderr, "not allowed: run it as root\n");
		return 2;
	}
	print("without a probe", without);
	print("with a probe   ", with);
	differs = with.refused || without.signal != with.signal || with.value != @RIGHT@;
	printf("@ID@ %s\n", differs ? "shows" : "does not show");
	return differs;
}
