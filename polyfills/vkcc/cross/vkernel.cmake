# CMake toolchain of the vkernel's Linux personality:
#
#     cmake -DCMAKE_TOOLCHAIN_FILE=vkernel.cmake …
#
# vkcc, vkc++, vkar and vkranlib are on PATH, with VKCC_SYSROOT and VKCC_ZIG set, and without VKCC_RUN:
# CMake reads what it has linked. Checks that run a program run it in the vkernel with
# -DCMAKE_CROSSCOMPILING_EMULATOR="polybuild;run;--quiet;--wasm". Libraries of other recipes are found
# below CMAKE_FIND_ROOT_PATH, and only there. See cmake-toolchains(7).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER vkcc)
set(CMAKE_CXX_COMPILER vkc++)
set(CMAKE_AR vkar)
set(CMAKE_RANLIB vkranlib)

# Else CMake finds the functions of threads in the C library and leaves -pthread out, by which the driver
# chooses the variant.
set(CMAKE_HAVE_LIBC_PTHREAD FALSE)
set(THREADS_PREFER_PTHREAD_FLAG TRUE)

# There is no dynamic linker.
set(BUILD_SHARED_LIBS OFF CACHE BOOL "there are no shared libraries" FORCE)
set(CMAKE_SHARED_LIBRARY_LINK_C_FLAGS "")
set(CMAKE_SHARED_LIBRARY_LINK_CXX_FLAGS "")
set(CMAKE_DL_LIBS "")
set(CMAKE_SKIP_RPATH TRUE CACHE BOOL "there are no shared libraries" FORCE)

# Programs of this machine run; headers, libraries and packages of this machine are not for guests.
list(APPEND CMAKE_FIND_ROOT_PATH "$ENV{VKCC_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
