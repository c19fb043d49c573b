/* The smallest useful guest. */
#include <stdio.h>

int main(void) {
    puts("hello");
    return 0;
}
