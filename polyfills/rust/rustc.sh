#!/bin/sh
# rustc as cargo is to call it for the vkernel: RUSTC=…/rustc.sh. For our target it looks for std, and for the
# target's description, in VKRUST_SYSROOT. Targets that are not rustc's own are unstable, so that it is told to
# allow what is; features of nightly can be had then. What is made for the build's own machine (build
# scripts, procedural macros) is compiled as ever. VKRUST_RUSTC is the compiler, `rustc` unless it says another.
set -eu
target=wasm32-vkernel-linux-musl
case " $* " in
*" --target $target "* | *" --target=$target "*)
    case " $* " in
    # A copy without our types compiles as well. Then structures are filled in at the wrong places.
    *" --crate-name libc "*)
        if [ ! -e "${CARGO_MANIFEST_DIR-}/VKERNEL" ]; then
            echo "error: ${CARGO_MANIFEST_DIR-libc} has other types than the vkernel's C library:" \
                "give cargo --config 'patch.crates-io.libc.path=\"$VKRUST_SYSROOT/libc\"', and use that version" >&2
            exit 1
        fi
        ;;
    esac
    RUSTC_BOOTSTRAP=1
    export RUSTC_BOOTSTRAP
    set -- -Zunstable-options --sysroot "$VKRUST_SYSROOT" "$@"
    ;;
esac
exec "${VKRUST_RUSTC-rustc}" "$@"
