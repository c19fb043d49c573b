/* Prints each file that is named, and writes one. */
#include <stdio.h>
int main(int argc, char **argv)
{
	char line[100];
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "r");
		printf("%s: %s", argv[i], file && fgets(line, sizeof line, file) ? line : "none\n");
	}
	FILE *file = fopen("/written", "w");
	return !file || fputs("by the guest\n", file) < 0 || fclose(file);
}
