#!/bin/sh
# Builds one extension of Python: a wheel whose shared objects are stubs, and what they stand for. It runs in a build
# step whose folder holds
#
#   source/          the source distribution, unpacked and patched
#   requires/*/      what it needs to be built, each a wheel of pure Python, unpacked
#   libraries/*/     C libraries: `include/` and `threads/lib/`
#   host/            the build-python, as for CPython itself
#   python/include, python/config   headers, and what sysconfig says of the Python that it is for
#
# and makes
#
#   extension/*.whl        the wheel
#   extension/libraries/   the stubs again, each with its objects beside it
#   extension/lib/         the C libraries
#
# EXTENSION_TOOLS names folders of `requires/` whose commands the build starts (`meson`, `cython`): they are put into
# PATH. EXTENSION_CFLAGS is for the compiler, EXTENSION_CONFIG for the build backend: lines of `name=value`.
set -eu
here=$PWD
mkdir -p archives bin host/lib host/usr/lib host/usr/include config deps/include deps/lib source requires libraries

version=$(sed -n 's/^#define PY_VERSION[[:space:]]*"\([0-9]*\.[0-9]*\).*/\1/p' python/include/patchlevel.h)
mv host/stdlib "host/usr/lib/python$version"
cp -R host/minimal/. "host/usr/lib/python$version/"
for package in host/packages/*; do
    find "$package" -maxdepth 1 -name '*.so*' -exec cp -RP '{}' host/lib/ ';'
done
cp -R python/include "host/usr/include/python$version"

# What the build asks of its Python is answered for the one that the extension is for.
for file in python/config/_sysconfigdata*.py; do
    data=$(basename "$file" .py)
    sed -e "s|/usr/local/include|$here/host/usr/include|g" -e "s|/src|$here|g" "$file" >"config/$data.py"
done
path=$here/config:$here/port
for folder in requires/*/; do
    if [ -d "$folder" ]; then path=$path:$here/${folder%/}; fi
done
for package in libraries/*/; do
    if [ -d "$package" ]; then
        cp -R "$package/include/." deps/include/
        # What has headers alone is a library too.
        for archive in "$package"threads/lib/*.a; do
            if [ -f "$archive" ]; then cp "$archive" deps/lib/; fi
        done
    fi
done
cat >bin/python3 <<EOF
#!/bin/sh
export PYTHONHOME="$here/host/usr" PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
export PYTHONPATH="$path\${EXTENSION_PATH:+:\$EXTENSION_PATH}"
export _PYTHON_HOST_PLATFORM=linux-wasm32 _PYTHON_SYSCONFIGDATA_NAME=$data
exec "$here/host/lib/ld-linux-x86-64.so.2" --library-path "$here/host/lib" --argv0 "$here/bin/python3" "$here/host/python" "\$@"
EOF
chmod +x bin/python3

# What shared objects stand for is kept, whatever the build does with the folder that it makes them in; and so is the
# first error of the compiler's last failure, which build systems bury.
for name in vkcc vkc++; do
    cat >"bin/$name" <<EOF
#!/bin/sh
said="$here/said.\$\$"
"$(command -v $name)" "\$@" 2>"\$said"
status=\$?
cat "\$said" >&2
if [ "\$status" != 0 ]; then grep -m1 -e error "\$said" >"$here/compiler-error" || true; fi
rm -f "\$said"
[ "\$status" = 0 ] || exit "\$status"
shared=
output=
for word; do
    if [ "\$output" = -o ]; then output=\$word; fi
    case \$word in
        -shared) shared=yes ;;
        -o) output=-o ;;
    esac
done
if [ "\$shared" ] && [ -f "\$output.a" ]; then
    cp "\$output.a" "\$(mktemp "$here/archives/XXXXXXXX")"
fi
EOF
    chmod +x "bin/$name"
done
export PATH="$here/bin:$PATH" PKG_CONFIG=false
export CFLAGS="-pthread -I$here/deps/include ${EXTENSION_CFLAGS:-}"
export CXXFLAGS="$CFLAGS" LDFLAGS="-pthread -L$here/deps/lib"
exec python3 port/build.py
