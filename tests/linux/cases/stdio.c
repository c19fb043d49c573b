/* about: Standard input and output: buffers, seeking, formats, scanning, temporary files. */
#include "../check.h"
#include <wchar.h>
int main(void)
{
    FILE *f = fopen("f", "w+");
    fprintf(f, "%d %s\n", 5, "text");
    for (int i = 0; i < 3000; i++) fputc('a' + i % 26, f);
    TRY(ftell(f));
    rewind(f);
    char b[5000];
    TRYP(fgets(b, 100, f));
    say("%s", b);
    TRY(fread(b, 1, 5000, f));
    TRY(feof(f));
    TRY(fseek(f, -5, SEEK_END));
    TRY(fgetc(f));
    TRY(ungetc('!', f));
    TRY(fgetc(f));
    TRY(fclose(f));
    TRYP(fopen("none", "r"));
    TRYP(fopen("f", "bad"));
    f = fopen("f", "a+");
    fputs("end", f);
    TRY(ftell(f));
    fclose(f);
    f = fopen("f", "rx");
    if (f) fclose(f);
    TRYP(fopen("f", "wx"));
    printf("%5d|%-5d|%05d|%+d|%x|%#o|%e|%g|%.3f|%c|%%|%s|%.2s|%10s|%-10s|%n\n", 42, 42, 42, 42, 255,
        8, 12345.678, 1e-10, 3.14159, 'c', "str", "str", "r", "l", &(int){0});
    printf("%ld %lld %zu %hhd %jd %td\n", 2147483647L, LLONG_MIN, (size_t)7, (char)300, (intmax_t)-1,
        (ptrdiff_t)5);
    printf("%a %g %g %g %f\n", 1.0, 1.0 / 3, 1e100, -0.0, 1e15);
    printf("%s %g %g\n", "inf", 1.0 / 0.0, -1.0 / 0.0);
    printf("%*d %-*d| %.*f\n", 6, 1, 6, 2, 2, 2.345);
    printf("%1$s %2$s %1$s\n", "a", "b");
    fflush(stdout);
    int x, y;
    char w[20];
    float fl;
    TRY(sscanf("12 0x1f word 3.5 rest", "%d %i %19s %f", &x, &y, w, &fl));
    say("%d %d %s %g", x, y, w, fl);
    TRY(sscanf("abc", "%d", &x));
    TRY(sscanf("key=value", "%19[a-z]=%s", w, b));
    say("%s %s", w, b);
    TRY(snprintf(b, 5, "%s", "longer"));
    say("%s", b);
    char *as;
    TRY(asprintf(&as, "%d-%d", 1, 2));
    say("%s", as);
    FILE *t = tmpfile();
    TRY(fputs("tmp", t) >= 0);
    char n[] = "tmpXXXXXX";
    TRY(mkstemp(n) >= 0);
    TRY(access(n, F_OK));
    char d[] = "dirXXXXXX";
    TRYP(mkdtemp(d));
    char *mem = 0;
    size_t ms = 0;
    f = open_memstream(&mem, &ms);
    fprintf(f, "memory %d", 9);
    fclose(f);
    say("%s %d", mem, (int)ms);
    f = fmemopen("one\ntwo\n", 8, "r");
    char *line = 0;
    size_t cap = 0;
    while (getline(&line, &cap, f) > 0) say("line %zu %c", strlen(line), *line);
    fclose(f);
    say("%ld %lld %llu", strtol("0x7f", 0, 0), strtoll("99999999999999999999", 0, 10),
        strtoull("-1", 0, 10));
    char *end;
    double num = strtod("1.5e3abc", &end);
    say("%g %s", num, end);
    qsort(b, 0, 1, 0);
    f = fopen(".", "r");
    TRYP(f ? fgets(b, 9, f) : 0);
    setvbuf(stdout, 0, _IOFBF, 100);
    for (int i = 0; i < 50; i++) printf("line %d\n", i);
    fflush(stdout);
    f = fopen("f", "r");
    setvbuf(f, 0, _IONBF, 0);
    fgetc(f);
    TRY(lseek(fileno(f), 0, SEEK_CUR));
    errno = EBADF;
    printf("not flushed");
    fprintf(stderr, "err %d\n", 1);
    perror("perror");
    return 0;
}
