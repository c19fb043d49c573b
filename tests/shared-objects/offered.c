/* A library that is in an archive: what it offers is said when it is made. */
int counted;
int two(void) { return counted += 2; }
int one(void) { return two() - 1; }
