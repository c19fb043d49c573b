/* Runs against limits: memory until malloc gives no more, or time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "memory") == 0) {
        size_t pages = __builtin_wasm_memory_size(0);
        while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1)
            pages++;
        /* volatile: the compiler may not leave the call out. */
        void *volatile more = malloc(64 << 20);
        printf("%zu pages, %s\n", pages, more ? "more" : "no more");
    } else if (argc > 1 && strcmp(argv[1], "spin") == 0) {
        puts("spinning");
        fflush(stdout);
        for (volatile int i = 0;; i++)
            ;
    } else if (argc > 1 && strcmp(argv[1], "read") == 0) {
        char c;
        puts("reading");
        fflush(stdout);
        return read(0, &c, 1) == 1 ? c : 0;
    } else if (argc > 1 && strcmp(argv[1], "sleep") == 0) {
        puts("sleeping");
        fflush(stdout);
        sleep(600);
    } else if (argc > 1 && strcmp(argv[1], "files") == 0) {
        int n = 0;
        while (fopen("/f", "w"))
            n++;
        printf("%d\n", n);
    }
    return 0;
}
