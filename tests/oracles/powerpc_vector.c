/*
 * Execute instructions on given registers: records from stdin, the same records with what became
 * of them to stdout. Runs under qemu-user; tests compare with the simulator.
 *
 * An instruction that is not known here, or traps, comes back with its first word cleared.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct record {
	uint32_t insn[2];	/* the second one may be a nop */
	uint64_t fpscr;
	uint32_t vscr, cr;
	uint64_t gpr[3];	/* r28, r29, r30; r31 is the address of mem */
	uint64_t pad[2];
	uint64_t vsr[8][2];	/* vs0-vs3, vs32-vs35 */
	uint8_t mem[64];
};

void execute(struct record *record, const uint32_t *code);

__asm__(
"	.machine power9\n"
"	.globl execute\n"
"	.type execute,@function\n"
"execute:\n"
"	mflr 0\n"
"	std 0, 16(1)\n"
"	stdu 1, -128(1)\n"
"	std 25, 64(1)\n"
"	std 28, 72(1)\n"
"	std 29, 80(1)\n"
"	std 30, 88(1)\n"
"	std 31, 96(1)\n"
"	mr 25, 3\n"
"	mtctr 4\n"
"	lfd 0, 8(25)\n"
"	mtfsf 255, 0, 1, 0\n"
"	lwz 5, 16(25)\n"
"	mtvsrwz 32, 5\n"
"	vspltw 0, 0, 1\n"
"	mtvscr 0\n"
"	lwz 5, 20(25)\n"
"	mtcr 5\n"
"	ld 28, 24(25)\n"
"	ld 29, 32(25)\n"
"	ld 30, 40(25)\n"
"	addi 31, 25, 192\n"
"	li 6, 64\n"
"	lxvd2x 0, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 1, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 2, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 3, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 32, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 33, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 34, 25, 6\n"
"	addi 6, 6, 16\n"
"	lxvd2x 35, 25, 6\n"
"	bctrl\n"
"	li 6, 64\n"
"	stxvd2x 0, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 1, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 2, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 3, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 32, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 33, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 34, 25, 6\n"
"	addi 6, 6, 16\n"
"	stxvd2x 35, 25, 6\n"
"	mffs 0\n"
"	stfd 0, 8(25)\n"
"	mfvscr 0\n"
"	vspltw 0, 0, 3\n"
"	mfvsrwz 5, 32\n"
"	stw 5, 16(25)\n"
"	mfcr 5\n"
"	stw 5, 20(25)\n"
"	std 28, 24(25)\n"
"	std 29, 32(25)\n"
"	std 30, 40(25)\n"
"	ld 25, 64(1)\n"
"	ld 28, 72(1)\n"
"	ld 29, 80(1)\n"
"	ld 30, 88(1)\n"
"	ld 31, 96(1)\n"
"	addi 1, 1, 128\n"
"	ld 0, 16(1)\n"
"	mtlr 0\n"
"	blr\n"
);

static sigjmp_buf next;

static void give_up(int number)
{
	(void)number;
	siglongjmp(next, 1);
}

static struct record *read_all(size_t *count)
{
	size_t room = 1 << 20, size = 0;
	char *bytes = NULL;
	ssize_t got = 1;

	while (got > 0) {
		room *= 2;
		bytes = realloc(bytes, room);
		while (size < room && (got = read(0, bytes + size, room - size)) > 0)
			size += got;
	}
	*count = size / sizeof(struct record);
	return (struct record *)bytes;
}

int main(void)
{
	static struct record work __attribute__((aligned(128)));
	size_t count;
	struct record *records = read_all(&count);
	uint32_t *code = mmap(NULL, count * 16 + 16, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	signal(SIGILL, give_up);
	signal(SIGFPE, give_up);
	for (size_t i = 0; i < count; i++) {
		code[4 * i] = records[i].insn[0];
		code[4 * i + 1] = records[i].insn[1];
		code[4 * i + 2] = 0x4e800020; /* blr */
	}
	for (size_t i = 0; i < count; i++)
		__asm__ volatile("dcbst 0, %0; sync; icbi 0, %0; isync" : : "r"(&code[4 * i]) : "memory");
	for (size_t i = 0; i < count; i++) {
		memcpy(&work, &records[i], sizeof(work));
		if (!sigsetjmp(next, 1))
			execute(&work, &code[4 * i]);
		else
			work.insn[0] = 0;
		memcpy(&records[i], &work, sizeof(work));
	}
	for (size_t done = 0, size = count * sizeof(*records); done < size;) {
		ssize_t put = write(1, (char *)records + done, size - done);

		if (put <= 0)
			return 1;
		done += put;
	}
	return 0;
}
