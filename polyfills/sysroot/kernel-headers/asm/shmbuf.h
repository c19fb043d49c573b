#error "the generic structures are not those of the interface: include <sys/shm.h>"
