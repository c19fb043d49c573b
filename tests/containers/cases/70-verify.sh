# Derived images, as other tools save them, still verify; tampered ones do not.
# The stand-in has no signed megabinary: with it, the images are only read and flattened.
verify() {
    if [[ -n $STANDIN ]]; then
        limited "$STANDIN_TOOL" --same "$IMAGE_DIR/oci-layout" "$1" "$PYTHON"
    else
        polybuild verify ${VERIFY_KEY:+--key "$VERIFY_KEY"} "$1"
    fi
}

verify_base() {
    local form
    for form in oci-layout oci-archive.tar docker-archive.tar; do
        verify "$IMAGE_DIR/$form"
    done
}
run_case "verify the three forms" verify_base

verify_docker_save() {
    docker save -o "$WORK/derived.tar" derived
    verify "$WORK/derived.tar"
}
run_case "verify docker save" verify_docker_save

verify_package() {
    local image
    for image in package stages; do
        docker save -o "$WORK/$image.tar" "$image"
        verify "$WORK/$image.tar"
    done
}
real_case "verify docker save of a package and of stages" verify_package

verify_podman_save() {
    podman save --format "$1" -o "$WORK/$1.tar" localhost/derived
    verify "$WORK/$1.tar"
}
run_case "verify podman save, docker-archive" verify_podman_save docker-archive
run_case "verify podman save, oci-archive" verify_podman_save oci-archive

verify_tampered() {
    docker save -o "$WORK/tampered.tar" tampered
    [[ -s $WORK/tampered.tar ]]
    fails verify "$WORK/tampered.tar"
}
run_case "verify refuses a tampered stub" verify_tampered
