/* Nothing is loaded dynamically; the name is all that is asked for. */
#define LDSO_ARCH "wasm32"
