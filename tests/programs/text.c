/* Strings, memory functions, sorting and the heap. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

__attribute__((noinline)) uint32_t checksum(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint32_t sum = 2166136261u;

	while (size--)
		sum = (sum ^ *p++) * 16777619u;
	return sum;
}

int main(void)
{
	static char area[9000], copy[9000];
	uint32_t *numbers = malloc(500 * sizeof *numbers), seed = 1;
	char line[80] = "the quick brown fox jumps over the lazy dog", *save;

	for (int i = 0; i < 500; i++)
		numbers[i] = seed = seed * 1664525u + 1013904223u;
	printf("%08x\n", checksum(numbers, 500 * sizeof *numbers) != 0);
	qsort(numbers, 500, sizeof *numbers, by_value);
	printf("%u %u %u\n", numbers[0], numbers[250], numbers[499]);
	for (size_t i = 0; i < sizeof area; i++)
		area[i] = 'a' + i % 23;
	for (size_t size = 1; size < sizeof area; size = size * 3 + 1) {
		memset(copy, 0, sizeof copy);
		memcpy(copy + size % 7, area + size % 5, size - size % 5);
		memmove(copy + 3, copy, size / 2);
		printf("%zu %08x %d\n", size, checksum(copy, sizeof copy),
		       memcmp(copy, area, size) < 0);
	}
	printf("%zu %s %s\n", strlen(line), strchr(line, 'q'), strstr(line, "lazy"));
	for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		printf("<%s>", word);
	printf("\n%ld %lu %llx\n", strtol("-123", NULL, 10), strtoul("ffff", NULL, 16),
	       strtoull("123456789abcdef", NULL, 16));
	char **blocks = calloc(64, sizeof *blocks);
	size_t total = 0;
	for (int i = 0; i < 64; i++) {
		blocks[i] = malloc((size_t)i * 997 + 1);
		memset(blocks[i], i, (size_t)i * 997 + 1);
	}
	for (int i = 0; i < 64; i += 2)
		free(blocks[i]);
	for (int i = 1; i < 64; i += 2) {
		blocks[i] = realloc(blocks[i], (size_t)i * 2000 + 1);
		total += (size_t)blocks[i][i] + (blocks[i][0] == i);
	}
	printf("%zu\n", total);
	return 0;
}
