/* A static program that stands in for a megabinary, so that the container cases can be developed and
   the clients themselves be tried without one. It behaves like the vkernel just as far as the
   cases look: it is run through a stub (argv: itself, "sha256:...", the stub's path, arguments),
   refuses a stub that is not the one in its image, and plays a few fixed Python programs. It proves
   nothing about the vkernel. ENTRY is the digest in its only stub, "sha256:...". */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void end(int signal) { _exit(128 + signal); }

/* What `python3 -c code` would do, for the codes that the cases use. */
static int play(const char *code)
{
    char *at;
    if (strstr(code, "sys.version")) { puts("3.12.0 (standin)"); return 0; }
    if ((at = strstr(code, "sys.exit("))) return atoi(at + 9);
    if (strstr(code, "time.sleep")) {
        signal(SIGTERM, end);
        signal(SIGINT, end);
        puts("ready");
        fflush(stdout);
        for (;;) pause();
    }
    if (strstr(code, "os.getuid")) { printf("%d\n", (int)getuid()); return 0; }
    if ((at = strstr(code, "open('"))) {
        char path[4096];
        if (sscanf(at, "open('%4095[^']'", path) != 1) return 1;
        FILE *f = fopen(path, strstr(at, "'w'") ? "w" : "r");
        if (!f) { fprintf(stderr, "OSError: %s: %s\n", path, strerror(errno)); return 1; }
        if (strstr(at, "'w'")) { fputs("written\n", f); return fclose(f) != 0; }
        for (int c; (c = getc(f)) != EOF;) putchar(c);
        return 0;
    }
    if ((at = strstr(code, "print('"))) {
        char *stop = strchr(at + 7, '\'');
        if (!stop) return 1;
        printf("%.*s\n", (int)(stop - at - 7), at + 7);
        return 0;
    }
    fprintf(stderr, "standin: cannot play %s\n", code);
    return 1;
}

int main(int argc, char **argv)
{
    static char text[65536];
    if (argc < 3 || strcmp(argv[1], ENTRY)) {
        fprintf(stderr, "standin: %s: no route for this file\n", argc > 2 ? argv[2] : "?");
        return 126;
    }
    FILE *stub = fopen(argv[2], "r");
    size_t n = stub ? fread(text, 1, sizeof text, stub) : 0;
    if (n != 95 || !strstr(text, ENTRY)) {
        fprintf(stderr, "standin: %s: no route for this file\n", argv[2]);
        return 126;
    }
    if (argc > 3 && !strcmp(argv[3], "-u")) { argv++; argc--; }
    if (argc > 4 && !strcmp(argv[3], "-c")) return play(argv[4]);
    FILE *script = stdin;
    if (argc > 3 && strcmp(argv[3], "-")) {
        script = fopen(argv[3], "r");
        if (!script) { fprintf(stderr, "standin: %s: %s\n", argv[3], strerror(errno)); return 2; }
    }
    n = fread(text, 1, sizeof text - 1, script);
    text[n] = 0;
    return play(text);
}
