/* The interface's times have 64 bits under the old numbers. */
#undef SIOCGSTAMP
#undef SIOCGSTAMPNS
#define SIOCGSTAMP      0x8906
#define SIOCGSTAMPNS    0x8907
