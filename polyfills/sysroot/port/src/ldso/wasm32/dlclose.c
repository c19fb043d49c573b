/* dlclose: nothing is unloaded, as everywhere with musl. */
#include "dl_registry.h"

int dlclose(void *handle)
{
	return __dl_invalid_handle(handle);
}
