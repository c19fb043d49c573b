#!/bin/sh
# Links the interpreter again, with extensions. It runs in a build step whose folder holds
#
#   python/          what CPython's build keeps for this: `python.o`, `libraries`, `lib/`
#   extensions/*/    what the extensions' builds made
#
# and makes `python.wasm`. Each extension's folders of libraries come after Python's own, so that what both have is
# linked once.
set -eu
folders=-Lpython/lib
loadable=
for extension in extensions/*/; do
    folders="$folders -L${extension}lib"
    for library in "${extension}libraries"/*/*.so; do
        if [ -f "$library" ]; then loadable="$loadable -mloadable=$library"; fi
    done
done
# Extensions have methods and getters of other types than those by which they are called: elsewhere a parameter too many
# does no harm (-mcast-calls).
#
# Words of options, not names with blanks.
# shellcheck disable=SC2046,SC2086
vkc++ -pthread -mcast-calls $folders -o python.wasm python/python.o $(cat python/libraries) $loadable
