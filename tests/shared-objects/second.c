/* A library of two objects, with names of the first one's. */
#include <math.h>
#include <stdio.h>
int helper(int x) { return x * 100; }
int counter = 20;
int two(int);
int second_api(int x)
{
	puts("second: called");
	return helper(x) + counter + two(1) + (int)floor(x + 0.5);
}
