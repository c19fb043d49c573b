#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C"
#endif
/* Words of a text: runs of what is not white space. */
size_t count_words(const char *text);

#endif
