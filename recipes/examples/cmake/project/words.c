#include "words.h"

#include <ctype.h>

size_t count_words(const char *text)
{
    size_t words = 0;
    int inside = 0;

    for (; *text; text++) {
        int letter = !isspace((unsigned char)*text);

        words += letter && !inside;
        inside = letter;
    }
    return words;
}
