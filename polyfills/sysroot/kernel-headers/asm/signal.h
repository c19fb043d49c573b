/* The structures of the generic header are not those of the interface. */
#include <signal.h>
