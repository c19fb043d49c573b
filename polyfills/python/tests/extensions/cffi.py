import cffi
ffi = cffi.FFI()
ffi.cdef("""
    typedef struct { int x; double y; char name[8]; } thing;
    size_t strlen(const char *);
    double pow(double, double);
    int strcmp(const char *, const char *);
    void qsort(void *, size_t, size_t, int (*)(const void *, const void *));
    int snprintf(char *, size_t, const char *, ...);
""")
c = ffi.dlopen(None)
print(c.strlen(b"hello"), c.strcmp(b"a", b"a"), c.pow(2.0, 10.0))
t = ffi.new("thing *", {"x": 3, "y": 2.5, "name": b"abc"})
print(t.x, t.y, ffi.string(t.name), ffi.offsetof("thing", "y"), ffi.sizeof("thing"))
numbers = ffi.new("int[]", [5, 3, 9, 1, 7])

@ffi.callback("int(const void *, const void *)")
def compare(a, b):
    a, b = ffi.cast("int *", a)[0], ffi.cast("int *", b)[0]
    return (a > b) - (a < b)

c.qsort(numbers, 5, 4, compare)
print(list(numbers))
buffer = ffi.new("char[]", 64)
n = c.snprintf(buffer, 64, b"%d %s", ffi.cast("int", 42), ffi.new("char[]", b"text"))
print(n, ffi.string(buffer), bytes(ffi.buffer(numbers, 8)))
try:
    ffi.cast("int *", 0)[0]
except RuntimeError as error:
    print(type(error).__name__)
