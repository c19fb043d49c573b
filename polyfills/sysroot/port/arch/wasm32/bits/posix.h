/* No POSIX programming environment has 32-bit pointers and a 64-bit long. */
