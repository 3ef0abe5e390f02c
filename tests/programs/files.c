/* Write a file, read it back, rename it, remove it. The argument is its path. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((noinline)) int write_lines(const char *path, int lines)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	for (int i = 0; i < lines; i++)
		fprintf(f, "line %d\n", i);
	return fclose(f);
}

int main(int argc, char **argv)
{
	char line[64], moved[4096];
	struct stat st;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: files PATH [keep]\n");
		return 2;
	}
	if (write_lines(argv[1], 1000) < 0) {
		perror(argv[1]);
		return 1;
	}
	FILE *f = fopen(argv[1], "r+");
	fseek(f, 4000, SEEK_SET);
	printf("%s", fgets(line, sizeof line, f));
	fclose(f);
	stat(argv[1], &st);
	printf("%lld bytes, %s\n", (long long)st.st_size, S_ISREG(st.st_mode) ? "regular" : "other");
	if (argc == 3)
		return 0;
	snprintf(moved, sizeof moved, "%s.moved", argv[1]);
	printf("rename %d, ", rename(argv[1], moved));
	printf("stat %d %s, ", stat(argv[1], &st), strerror(errno));
	printf("unlink %d\n", unlink(moved));
	return 0;
}
