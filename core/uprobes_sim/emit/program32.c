/*
 * @ID@: @EFFECT@
 *
 * Kernels: @KERNELS@.  Instructions: @INSTRUCTIONS@.
 * Known from: @EVIDENCE@.
 *
 * It takes a 32-bit task.  So this program writes a small 32-bit ELF file and runs it, first without
 * a probe, then with a uprobe on the instruction at `spot`, and prints how it ends.  As root:
 *
 *     @BUILD@ && ./reproducer
 *
 * Exit status: 1, the defect shows; 0, it does not; 2, it could not be tried.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TYPE "/sys/bus/event_source/devices/uprobe/type"
#define BASE @BASE@
#define PAGE 4096

extern const unsigned char image[], spot[], image_end[];

__asm__(".pushsection .rodata\n"
        ".globl image, spot, image_end\n"
        ".code32\n"
        "image:\n"
@ASM@
        "image_end:\n"
        ".code64\n"
        ".popsection\n");

/* The code, behind a page with the headers. */
static void write_program(const char *path)
{
	size_t size = image_end - image;
	Elf32_Ehdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT, .e_entry = BASE,
		.e_phoff = sizeof(ehdr), .e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1,
	};
	Elf32_Phdr phdr = {
		.p_type = PT_LOAD, .p_offset = PAGE, .p_vaddr = BASE, .p_paddr = BASE,
		.p_filesz = size, .p_memsz = size, .p_flags = PF_R | PF_X, .p_align = PAGE,
	};
	char page[PAGE] = "";
	FILE *file = fopen(path, "w");

	memcpy(page, &ehdr, sizeof(ehdr));
	memcpy(page + sizeof(ehdr), &phdr, sizeof(phdr));
	if (!file || fwrite(page, PAGE, 1, file) != 1 || fwrite(image, size, 1, file) != 1 ||
	    fclose(file) || chmod(path, 0755)) {
		perror(path);
		exit(2);
	}
}

static int probe(const char *path)
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
	attr.config1 = (unsigned long)path;
	attr.config2 = PAGE + (spot - image);
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0);
	if (fd < 0) {
		perror("perf_event_open (run it as root)");
		exit(2);
	}
	return fd;
}

static int run(const char *how, const char *path)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		alarm(10);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		fprintf(stderr, "a 32-bit program cannot be run here\n");
		exit(2);
	}
	if (WIFSIGNALED(status))
		printf("%s: killed by signal %d (%s)\n", how, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else
		printf("%s: exit status %d\n", how, WEXITSTATUS(status));
	fflush(stdout);
	return status;
}

int main(void)
{
	char path[] = "/tmp/uprobe-reproducer-XXXXXX";
	int fd = mkstemp(path), without, with, event;

	if (fd < 0) {
		perror(path);
		return 2;
	}
	close(fd);
	write_program(path);
	without = run("without a probe", path);
	event = probe(path);
	with = run("with a probe   ", path);
	close(event);
	unlink(path);
	printf("@ID@ %s\n", without != with ? "shows" : "does not show");
	return without != with;
}
