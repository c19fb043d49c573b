# containerd's own client.
ctr_import() {
    ctr image import "$IMAGE_DIR/oci-archive.tar"
    contains "$(ctr image ls -q)" "$FULL_IMAGE"
}
run_case "ctr image import" ctr_import

ctr_run() {
    contains "$(ctr run --rm "$FULL_IMAGE" run python3 -c 'import sys; print(sys.version)')" "$VERSION"
    exits 7 ctr run --rm "$FULL_IMAGE" code python3 -c 'import sys; sys.exit(7)'
    equals "$(ctr run --rm --read-only --seccomp "$FULL_IMAGE" ro python3 -c "print('confined')")" confined
}
run_case "ctr run" ctr_run
