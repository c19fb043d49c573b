/* A library that calls another one. */
int first_apply(int which, int n);

int second_sum(int n)
{
	int sum = 0;
	for (int at = 0; at < n; at++)
		sum += first_apply(at, at);
	return sum;
}
