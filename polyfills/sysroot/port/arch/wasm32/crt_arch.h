/* The entry is crt/wasm32/crt1.c; the generic one is not used. */
