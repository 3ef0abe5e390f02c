/*
 * Execute instructions on given registers and memory: records from stdin, the same records with
 * what became of them to stdout. Runs under qemu-user; tests compare with the simulator.
 *
 * Each instruction has a slot of its own, of 64 bytes, at an address that the record's number
 * tells. A branch has its slot filled up with traps, which tell where it went.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define CONTEXT 0x01700000
#define SCRATCH_PAGE 0x01710000 /* memory lies at its end, and nothing behind it */
#define PAGE 0x10000
#define SLOTS 0x01800000
#define SLOT_WORDS 16

#define FILL_WITH_TRAPS 1

struct record {
	uint32_t insn[2];
	uint32_t flags;
	uint32_t signal; /* out: what it was stopped by, if at all */
	unsigned long nip; /* out: where */
	unsigned long xer, cr, ctr, lr, tar, vrsave, pad;
	uint64_t fpscr;
	uint32_t vscr, pad32;
	unsigned long gpr[32]; /* but for r1, the context, and r13, of the C library */
	uint64_t vsr[8][2]; /* vs4, vs5, vs26, vs27, and the same of the upper half */
	uint8_t mem[128];
};

#ifdef __powerpc64__
#define W "8"
#define LD "ld "
#define ST "std "
#define LOAD_0(disp) (58u << 26 | 1 << 16 | (disp))
#else
#define W "4"
#define LD "lwz "
#define ST "stw "
#define LOAD_0(disp) (32u << 26 | 1 << 16 | (disp))
#endif

#define XER "16+" W
#define CR "16+2*" W
#define CTR "16+3*" W
#define LR "16+4*" W
#define TAR "16+5*" W
#define VRSAVE "16+6*" W
#define FPSCR "16+8*" W
#define VSCR "24+8*" W
#define GPR "32+8*" W
#define VSR "32+40*" W
#define SAVED "288+40*" W
#define SAVED_VSRS "288+74*" W

#define LOAD_VSR(number, from) "	li 6, " from "\n	lxvd2x " number ", 1, 6\n"
#define STORE_VSR(number, to) "	li 6, " to "\n	stxvd2x " number ", 1, 6\n"
#define EACH_VSR(act) \
	act("4", VSR) act("5", VSR "+16") act("26", VSR "+32") act("27", VSR "+48") \
	act("36", VSR "+64") act("37", VSR "+80") act("58", VSR "+96") act("59", VSR "+112")
#define EACH_SAVED_VSR(act) \
	act("26", SAVED_VSRS) act("27", SAVED_VSRS "+16") \
	act("58", SAVED_VSRS "+32") act("59", SAVED_VSRS "+48")

_Static_assert(offsetof(struct record, xer) == 16 + sizeof(long), "XER");
_Static_assert(offsetof(struct record, vrsave) == 16 + 6 * sizeof(long), "VRSAVE");
_Static_assert(offsetof(struct record, vscr) == 24 + 8 * sizeof(long), "VSCR");
_Static_assert(offsetof(struct record, gpr) == 32 + 8 * sizeof(long), "GPR");
_Static_assert(offsetof(struct record, vsr) == 32 + 40 * sizeof(long), "VSR");
_Static_assert(sizeof(struct record) == 288 + 40 * sizeof(long), "SAVED");

void execute(struct record *context, const uint32_t *slot);
extern const uint32_t done[];

__asm__(
#ifdef __powerpc64__
"	.machine power9\n"
#endif
"	.globl execute\n"
"	.type execute,@function\n"
"execute:\n"
"	mflr 0\n"
"	" ST "0, " SAVED "(3)\n"
"	mfcr 0\n"
"	" ST "0, " SAVED "+" W "(3)\n"
"	.irp r,1,2,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
"	" ST "\\r, " SAVED "+2*" W "+" W "*\\r(3)\n"
"	.endr\n"
"	mr 1, 3\n"
#ifdef __powerpc64__
"	lfd 0, " FPSCR "(1)\n"
"	mtfsf 255, 0, 1, 0\n"
"	lwz 5, " VSCR "(1)\n"
"	mtvsrwz 32, 5\n"
"	vspltw 0, 0, 1\n"
"	mtvscr 0\n"
EACH_SAVED_VSR(STORE_VSR)
EACH_VSR(LOAD_VSR)
"	ld 5, " TAR "(1)\n"
"	mtspr 815, 5\n"
#endif
"	" LD "5, " VRSAVE "(1)\n"
"	mtspr 256, 5\n"
"	" LD "5, " XER "(1)\n"
"	mtxer 5\n"
"	" LD "5, " CR "(1)\n"
"	mtcrf 255, 5\n"
"	" LD "5, " LR "(1)\n"
"	mtlr 5\n"
"	mtctr 4\n"
"	.irp r,2,3,4,5,6,7,8,9,10,11,12,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
"	" LD "\\r, " GPR "+" W "*\\r(1)\n"
"	.endr\n"
"	bctr\n"
"	.globl done\n"
"done:\n"
"	.irp r,0,2,3,4,5,6,7,8,9,10,11,12,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
"	" ST "\\r, " GPR "+" W "*\\r(1)\n"
"	.endr\n"
"	mfxer 5\n"
"	" ST "5, " XER "(1)\n"
"	mfcr 5\n"
"	" ST "5, " CR "(1)\n"
"	mfctr 5\n"
"	" ST "5, " CTR "(1)\n"
"	mflr 5\n"
"	" ST "5, " LR "(1)\n"
"	mfspr 5, 256\n"
"	" ST "5, " VRSAVE "(1)\n"
#ifdef __powerpc64__
"	mfspr 5, 815\n"
"	std 5, " TAR "(1)\n"
EACH_VSR(STORE_VSR)
EACH_SAVED_VSR(LOAD_VSR)
"	mffs 0\n"
"	stfd 0, " FPSCR "(1)\n"
"	mfvscr 0\n"
"	vspltw 0, 0, 3\n"
"	mfvsrwz 5, 32\n"
"	stw 5, " VSCR "(1)\n"
#endif
"	" LD "0, " SAVED "(1)\n"
"	mtlr 0\n"
"	" LD "0, " SAVED "+" W "(1)\n"
"	mtcrf 255, 0\n"
"	.irp r,2,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,1\n"
"	" LD "\\r, " SAVED "+2*" W "+" W "*\\r(1)\n"
"	.endr\n"
"	blr\n"
);

static void stopped(int number, siginfo_t *info, void *frame)
{
	struct record *context = (struct record *)CONTEXT;
	ucontext_t *uc = frame;
#ifdef __powerpc64__
	unsigned long *regs = uc->uc_mcontext.gp_regs;
#else
	unsigned long *regs = (unsigned long *)uc->uc_regs;
#endif
	(void)info;
	context->signal = number;
	context->nip = regs[32];
	regs[32] = (unsigned long)done;
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

static void *map_at(unsigned long address, size_t size)
{
	void *got = mmap((void *)address, size, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (got != (void *)address)
		exit(2);
	return got;
}

static void fill_slot(uint32_t *slot, const struct record *record)
{
	size_t n = 4;

	slot[0] = LOAD_0(offsetof(struct record, ctr));
	slot[1] = 0x7c0903a6; /* mtctr 0 */
	slot[2] = LOAD_0(offsetof(struct record, gpr));
	slot[3] = 0x60000000; /* nop */
	slot[n++] = record->insn[0];
	if (record->insn[1])
		slot[n++] = record->insn[1];
	if (record->flags & FILL_WITH_TRAPS)
		while (n < SLOT_WORDS)
			slot[n++] = 0x7fe00008;
	else
		slot[n] = 18u << 26 | (((uintptr_t)done - (uintptr_t)&slot[n]) & 0x3fffffc);
	for (n = 0; n < SLOT_WORDS; n++)
		__asm__ volatile("dcbst 0, %0; sync; icbi 0, %0; isync" : : "r"(&slot[n]) : "memory");
}

int main(void)
{
	static const int signals[] = { SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE };
	static char stack[65536];
	struct sigaction action = { .sa_sigaction = stopped, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	size_t count;
	struct record *records = read_all(&count);
	struct record *context = map_at(CONTEXT, PAGE);
	uint8_t *scratch = (uint8_t *)map_at(SCRATCH_PAGE, PAGE) + PAGE - sizeof(context->mem);
	uint32_t *slots = map_at(SLOTS, (count * SLOT_WORDS * 4 + PAGE - 1) & -(size_t)PAGE);

	sigaltstack(&other, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
	for (size_t i = 0; i < count; i++)
		fill_slot(slots + i * SLOT_WORDS, &records[i]);
	for (size_t i = 0; i < count; i++) {
		memcpy(context, &records[i], sizeof(*context));
		memcpy(scratch, context->mem, sizeof(context->mem));
		execute(context, slots + i * SLOT_WORDS);
		memcpy(context->mem, scratch, sizeof(context->mem));
		memcpy(&records[i], context, sizeof(*context));
	}
	for (size_t sent = 0, size = count * sizeof(*records); sent < size;) {
		ssize_t put = write(1, (char *)records + sent, size - sent);

		if (put <= 0)
			return 1;
		sent += put;
	}
	return 0;
}
