/* The structures of the generic header are not those of the interface. */
#include <sys/stat.h>
