/* A library: a constructor, data, a name that others have too, a name that is for nobody else. */
#include <stdio.h>
int helper(int x) { return x + 1; }
int counter = 10;
__attribute__((constructor)) static void begin(void) { puts("first: constructor"); }
int first_api(int x) { return helper(x) + counter; }
__attribute__((visibility("hidden"))) int hidden(void) { return 1; }
