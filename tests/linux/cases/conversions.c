/* about: Numbers with a point to whole ones and back: how programs ask whether one is whole and fits. */
#include "../check.h"
#define ASK(type) \
	static __attribute__((noinline)) int is_##type(double n) { return n == (double)(type)n; } \
	static __attribute__((noinline)) int is_##type##_f(float n) { return n == (float)(type)n; }
typedef long long whole;
typedef int narrow;
ASK(whole)
ASK(narrow)
static __attribute__((noinline)) long long to_whole(double n) { return n; }
static __attribute__((noinline)) int to_int(double n) { return n; }
static __attribute__((noinline)) unsigned to_unsigned(double n) { return n; }
static __attribute__((noinline)) short to_short(double n) { return n; }
static __attribute__((noinline)) unsigned char to_byte(float n) { return n; }
int main(void)
{
	double asked[] = { 3, -3, 0, 0.5, -0.5, 1e20, -1e20, 1e300, 9007199254740993.0, 2147483647, 2147483648.0,
		-2147483648.0, __builtin_inf(), -__builtin_inf(), __builtin_nan("") };
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
		say("%g: %d %d %d %d", asked[i], is_whole(asked[i]), is_narrow(asked[i]),
			asked[i] == (float)asked[i] && is_whole_f(asked[i]), asked[i] == (float)asked[i] && is_narrow_f(asked[i]));
	say("%lld %lld %d %d %u", to_whole(-9e18), to_whole(1.9), to_int(-1.9), to_int(2147483647.5), to_unsigned(4294967295.5));
	say("%d %d %d %d", to_short(-32768.5), to_short(32767.9), to_byte(255.9f), to_byte(0.9f));
	return 0;
}
