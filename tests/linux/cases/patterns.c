/* about: patterns of file names: what a backslash in brackets quotes (POSIX, XCU 2.13.1), by fnmatch and by glob. */
#include <fnmatch.h>
#include <glob.h>

#include "../check.h"

static void matches(void)
{
    static const char *const patterns[] = {
        "[a\\-z]", "[a\\-z\\]]", "[\\]]", "[\\]-a]", "[+-\\]]", "[+-\\]x]", "[!\\]]", "[^a\\]]",
        "[\\[:x]", "[\\\\]", "[\\a-\\c]", "x[\\]a]y", "[\\]", "*[\\]]*", "[[:alpha:]\\]]", "[]\\-]",
    };
    static const char *const texts[] = {
        "-", "a", "b", "z", "]", "\\", ":", "[", "x", "x]y", "xay", "[]", "c", "q]q", "\\]", "-]",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char line[200] = "";
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            if (fnmatch(patterns[i], texts[j], 0) == 0) {
                strcat(line, " ");
                strcat(line, texts[j]);
            }
        say("%s:%s", patterns[i], line);
    }
    /* Without the meaning of a backslash. */
    say("%d %d", fnmatch("[\\]]", "\\]", FNM_NOESCAPE), fnmatch("[a\\-z]", "b", FNM_NOESCAPE));
}

static void files(void)
{
    static const char *const names[] = {"a", "b", "-", "]", "[x]", "a]b"};
    static const char *const patterns[] = {"[a\\-z]", "[\\]]", "*[\\]]*", "\\[*", "[!\\]a]", "none[\\]]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(names[i], O_CREAT | O_WRONLY, 0600);
        if (fd < 0) say("open %s failed", names[i]);
        else close(fd);
    }
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        glob_t found = {0};
        int result = glob(patterns[i], 0, NULL, &found);
        say("glob %s: %s", patterns[i], result == GLOB_NOMATCH ? "no match" : result ? "fails" : "");
        for (size_t j = 0; result == 0 && j < found.gl_pathc; j++) say("  %s", found.gl_pathv[j]);
        if (result == 0) globfree(&found);
    }
}

int main(void)
{
    matches();
    files();
    return 0;
}
