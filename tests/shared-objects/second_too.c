int helper(int);
extern int counter;
int two(int x) { counter++; return helper(x); }
