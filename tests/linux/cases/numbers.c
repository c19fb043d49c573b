/* about: long double, 128-bit integers, floating-point corners, integers. */
#include "../check.h"
#include <math.h>
#include <fenv.h>
int main(void)
{
    say("%.15Lg %.15Lg %.15Lg", 1.5L, 1.0L / 3, 1e300L * 10);
    say("%Lf %Le %.3Lf", 3.25L, 12345.5L, -0.125L);
    long double a = strtold("2.5e10", 0);
    say("%.10Lg", a);
    say("%g %g %g %g", sqrt(2), sin(1), pow(2, 0.5), exp(1));
    say("%.17g %.17g", 0.1, 1e23);
    say("%.17g %.17g", strtod("4.9e-324", 0), strtod("1.7976931348623157e308", 0));
    say("%g %d %d", fmod(7.5, 2), isnan(NAN), isinf(INFINITY));
    say("%ld %ld %g %g", lrint(2.5), lround(2.5), rint(-0.5), floor(-1.5));
    volatile double z = 0;
    say("%d %d", isnan(z / z), signbit(-z) != 0);
    __int128 w = (__int128)1 << 100;
    say("%llx %llx", (unsigned long long)(w >> 64), (unsigned long long)(w / 7));
    say("%llu", (unsigned long long)(w % 1000000007));
    unsigned long long u = 0xffffffffffffffffull;
    say("%llu %d %d %d", u / 3, __builtin_clzll(5), __builtin_ctz(8), __builtin_popcountll(u));
    volatile int neg = -7;
    say("%d %d %d", neg / 2, neg % 2, neg >> 1);
    say("%zu %zu %zu %zu", sizeof(time_t), sizeof(off_t), sizeof(ino_t), sizeof(wchar_t));
    say("%d %d", CHAR_MIN, (char)200);
    say("%a %a", 1e-5, 255.75);
    char b[64];
    snprintf(b, 64, "%.50f", 1e-20);
    say("%s", b);
    say("%.0f %.0f %.0f", 0.5, 1.5, 2.5);
    say("%g %g", (double)(float)0.1, (double)1e-45f);
    say("%d %u", (int)strtol("-2147483648", 0, 10), (unsigned)4294967295u);
    return 0;
}
