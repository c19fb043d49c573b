#!/bin/sh
# Builds CPython for the vkernel's Linux personality: the interpreter, the same with the modules that its own
# tests need, and the library. It runs in a build step whose folder holds
#
#   cpython/       the source, patched, or to be changed by port/adapt.py if that is there
#   host/          Debian's Python of the same version, with its C library and its loader: what CPython's
#                  makefile calls the build-python; it makes no part of the image but byte code. Where Debian
#                  has none it is compiled first, by the machine's compiler
#   headers/       the kernel's: many of os, socket and fcntl's names are there if these are
#   libraries/*    the libraries: `include/` and `threads/lib/`
#
# and makes
#
#   python.wasm, python-tests.wasm
#   lib/pythonN.M/ the standard library with byte code, without tests
#   tests/         what CPython's tests need besides
#   include/       headers
#   installed/     pythonN.M/pyconfig.h, which sysconfig reads
#   config/, link/ sysconfig's data, and what the interpreter is linked from again with extensions
set -eu
# Shared objects are stubs; what they stand for becomes part of the programs that name them.
export VKCC_SHARED=linked

here=$PWD
version=$(sed -n 's/^#define PY_VERSION[[:space:]]*"\([0-9]*\.[0-9]*\).*/\1/p' cpython/Include/patchlevel.h)
library=/usr/local/lib/python$version
say() { echo "build.sh: $*"; }
quietly() { "$@" >make.out 2>&1 || { tail -50 make.out; say "failed: $*"; exit 1; }; }

mkdir -p bin
if [ -d host ]; then
    # The build-python, by the loader and the libraries beside it.
    mkdir -p host/lib host/usr/lib
    mv "host/stdlib/python$version" host/usr/lib/
    cp -R "host/minimal/python$version/." "host/usr/lib/python$version/"
    for package in host/packages/*; do
        find "$package" -maxdepth 1 -name '*.so*' -exec cp -RP '{}' host/lib/ ';'
    done
    cat >bin/build-python <<EOF
#!/bin/sh
export PYTHONHOME="$here/host/usr" PYTHONDONTWRITEBYTECODE=1
exec "$here/host/lib/ld-linux-x86-64.so.2" --library-path "$here/host/lib" "$here/host/programs/python$version" "\$@"
EOF
else
    say "compiling the build-python"
    cp -R cpython native
    (
        cd native
        quietly env CC=gcc ./configure -q --without-ensurepip
        quietly make -j2 build_all
    )
    cat >bin/build-python <<EOF
#!/bin/sh
export PYTHONDONTWRITEBYTECODE=1
exec "$here/native/python" "\$@"
EOF
fi
chmod +x bin/build-python
bin/build-python -c 'import sys; print("build-python", sys.version)'
[ ! -f port/adapt.py ] || bin/build-python port/adapt.py cpython

# One folder with all libraries. Their shared forms are left: reading what is known of OpenSSL takes two milliseconds of
# each start that has it as a module, of which nearly none uses it.
mkdir -p deps/include deps/lib
cp -R headers/. deps/include/
for package in libraries/*; do
    cp -R "$package/include/." deps/include/
    cp "$package"/threads/lib/*.a deps/lib/
done

# What configure cannot find out, because it runs no program of the target:
#   semaphores and time zones work, structures may be read unaligned, getaddrinfo is musl's;
#   /dev/ptmx is there. What it finds out by pkg-config lies in one folder instead; it knows neither that
#   this curses has wide characters, nor what a static libgdbm_compat needs besides.
cat >config.site <<'EOF'
ac_cv_aligned_required=no
ac_cv_broken_sem_getvalue=no
ac_cv_buggy_getaddrinfo=no
ac_cv_file__dev_ptc=no
ac_cv_file__dev_ptmx=yes
ac_cv_posix_semaphores_enabled=yes
ac_cv_search_dbm_open='-lgdbm_compat -lgdbm'
ac_cv_pthread_system_supported=yes
ac_cv_working_tzset=yes
EOF

# Where the patches of the snapshot are applied, our main program takes the place of CPython's. What keeps record of
# strings and tables is part of the core. A version without them starts as CPython does.
if grep -q '"rehash.h"' cpython/Objects/dictobject.c; then
    cp port/rehash.h cpython/Include/
    cp port/rehash.c cpython/Programs/
    cp port/main.c cpython/Programs/python.c
    bin/build-python port/text.py port/_vkernel.py >cpython/Programs/vkernel_py.h
fi

if grep -q _vkernel_pip cpython/Lib/site.py; then
    cp port/pip.py cpython/Lib/_vkernel_pip.py
fi

# How often each line runs (profile/make), where that is known of this version: the compiler then knows what to inline
# and what to keep together. It finds lines by the tables of debug information, which the linker leaves out.
profile=
if [ -f "port/profile/$version.txt" ]; then
    profile="-gline-tables-only -fprofile-sample-use=$here/port/profile/$version.txt"
fi

cd cpython
say "configuring"
# A thread's stack is larger than musl's own default: recursion ends with RecursionError, not with the stack.
# CPython asks for integers that wrap. Clang takes that for pointers too, and then adds each member's offset by an
# instruction of its own, which a load or a store would do.
# Some macros of configure lose LDFLAGS, so that everything is given in LDFLAGS_NODIST too.
quietly env CONFIG_SITE="$here/config.site" MODULE_BUILDTYPE=static PKG_CONFIG=false READELF=true \
    CC="vkcc" CXX="vkc++" CFLAGS=-pthread LDFLAGS="-pthread -L../deps/lib" \
    LDFLAGS_NODIST="-pthread -L../deps/lib" CPPFLAGS="-I../deps/include -DHAVE_NCURSESW=1" \
    ./configure -q --build=x86_64-pc-linux-gnu --host=wasm32-unknown-linux-musl --prefix=/usr/local \
    --with-build-python="$here/bin/build-python" --without-ensurepip --with-computed-gotos=no \
    --with-system-expat --with-system-libmpdec --enable-ipv6 --with-dbmliborder=gdbm:ndbm \
    --enable-loadable-sqlite-extensions --with-openssl=../deps \
    OPT="-DNDEBUG $PYTHON_OPT -fno-wrapv-pointer -DTHREAD_STACK_SIZE=0x600000 $profile"

# All modules of the tests are loaded as shared objects, as natively: some tests load them under other names.
first=$(sed -n '/^_test/{=;q;}' Modules/Setup.stdlib)
sed -i "${first}i *shared*" Modules/Setup.stdlib

say "compiling"
flags="-pthread -L../deps/lib"
quietly make -j2 python LDFLAGS="$flags"
# Modules that the tests want to load as shared objects: each is a stub, and its code is linked in. Until 3.11
# `sharedmods` is what setup.py builds besides, which the patches put into the list of modules.
shared=sharedmods
grep -q '^oldsharedmods:' Makefile && shared=oldsharedmods
quietly make -j2 -k "$shared" LDFLAGS="$flags"
mkdir -p ../tests/lib-dynload
loadable=
for stub in Modules/*.cpython-*.so; do
    loadable="$loadable -mloadable=$stub"
    cp "$stub" ../tests/lib-dynload/
done
rm python
quietly make python LDFLAGS="$flags $loadable"
cp python ../python-tests.wasm

# The same without test modules: another list, and linked again.
sed -i -e '/^_test/d' -e '/^_xxtestfuzz/d' -e '/^xxsubtype/d' -e '/^xxlimited/d' -e '/^_ctypes_test/d' \
    Modules/Setup.stdlib
quietly make -j2 python LDFLAGS="$flags"
cp python ../python.wasm

# What the library says of the build. The step's folder is nobody's business.
quietly make -j2 pybuilddir.txt LDFLAGS="$flags"
data=$(cat pybuilddir.txt)/_sysconfigdata*.py
sed -i "s|$here|/src|g" $data
cp $data Lib/
# Debian's 3.11 asks for it by a name that does not have the system's.
if grep -q "'_sysconfigdata_{sys.abiflags}_{multiarch}'" Lib/sysconfig.py 2>/dev/null; then
    cp $data "Lib/_sysconfigdata__$(sed -n 's/^MULTIARCH=[[:space:]]*//p' Makefile).py"
fi
cd ..

say "collecting"
lib=lib/python$version
mkdir -p "$lib" include
cp -R cpython/Lib/. "$lib/"
find lib -name __pycache__ -prune -exec rm -rf '{}' +
mv "$lib/test" tests/
for folder in idlelib tkinter turtledemo turtle.py; do rm -rf "${lib:?}/$folder"; done
find lib -type d \( -name test -o -name tests \) -prune -exec rm -rf '{}' +
rm -rf "$lib/site-packages/README.txt" "$lib/_distutils_system_mod.py"
mkdir -p "$lib/lib-dynload" "$lib/site-packages"
bin/build-python -m compileall -q -f --invalidation-mode unchecked-hash -s "$lib" -p "$library" "$lib"
cp -R cpython/Include/. include/
rm -f include/rehash.h
cp cpython/pyconfig.h include/
# Installed for sysconfig, which programs ask how Python was built.
mkdir -p "$lib/config-$version-wasm32-linux-musl" "installed/python$version"
sed "s|$here|/src|g" cpython/Makefile >"$lib/config-$version-wasm32-linux-musl/Makefile"
cp cpython/pyconfig.h "installed/python$version/"

# What extensions are compiled with, and what the interpreter is linked from again with them: one object, so that
# nobody needs to know how it was compiled, and the libraries. See polyfills/python/extension.
say "keeping what is linked again"
mkdir -p link/lib config
cp deps/lib/* link/lib/
cp cpython/Lib/_sysconfigdata*.py config/
cat >cpython/link.mk <<'EOF'
include Makefile
link-again:
	$(LINKCC) $(PY_CORE_LDFLAGS) -r -Wl,--strip-debug -o ../link/python.o Programs/python.o $(LINK_PYTHON_OBJS) $(filter %.a,$(MODLIBS))
	echo '$(LINKFORSHARED) $(LIBS) $(filter-out %.a,$(MODLIBS)) $(SYSLIBS)' >../link/libraries
EOF
(cd cpython && quietly make -f link.mk link-again LDFLAGS="$flags")
