/* CPU-bound, memory-bound: primes below LIMIT by the sieve of Eratosthenes, several times. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 5000000, ROUNDS = 12 };

int main(void)
{
    unsigned char *composite = malloc(LIMIT);
    unsigned count = 0;

    if (composite == NULL)
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        memset(composite, 0, LIMIT);
        count = 0;
        for (unsigned i = 2; i < LIMIT; i++) {
            if (composite[i])
                continue;
            count++;
            for (unsigned long long j = (unsigned long long)i * i; j < LIMIT; j += i)
                composite[j] = 1;
        }
    }
    printf("%u\n", count);
    return count != 348513;
}
