# The stand-in image; see standin.c. Sets IMAGE_DIR.
standin_make() {
    local example
    IMAGE_DIR=$WORK/standin
    mkdir "$IMAGE_DIR" || return 1
    local entry
    entry=sha256:$(printf 'standin python3' | sha256sum | cut -d ' ' -f 1)
    gcc -static -O1 -Wall -Werror "-DENTRY=\"$entry\"" -o "$IMAGE_DIR/standin" "$HERE/standin/standin.c" || return 1
    (cd "$ROOT" && HOME=$REAL_HOME cargo build -q -p polybuild-oci --example standin) || return 1
    example=${CARGO_TARGET_DIR:-$ROOT/target}/debug/examples/standin
    "$example" "$IMAGE_DIR/standin" "$IMAGE_DIR" >/dev/null || return 1
    STANDIN_TOOL=$example
}
