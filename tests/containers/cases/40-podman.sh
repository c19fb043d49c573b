# podman and buildah, sharing a store.
podman_load() { contains "$(podman load -i "$1")" "$FULL_IMAGE"; podman image exists "$FULL_IMAGE"; }
run_case "podman load docker-archive" podman_load "$IMAGE_DIR/docker-archive.tar"
run_case "podman load oci-archive" podman_load "$IMAGE_DIR/oci-archive.tar"

in_podman() { podman run --rm --pull never "$@"; }

podman_run() {
    contains "$(in_podman "$IMAGE" python3 -c 'import sys; print(sys.version)')" "$VERSION"
    exits 7 in_podman "$IMAGE" python3 -c 'import sys; sys.exit(7)'
    equals "$(echo "print('from stdin')" | in_podman -i "$IMAGE" python3 -)" "from stdin"
}
run_case "podman run" podman_run

# What is not there, a folder of the host, the environment.
podman_options() {
    exits_with 127 'exec: "no-such-program": executable file not found in $PATH' in_podman "$IMAGE" no-such-program
    exits_with 127 'exec: "bash": executable file not found in $PATH' in_podman "$IMAGE" bash -c 'echo hi'
    mkdir "$WORK/podman-data"
    in_podman -v "$WORK/podman-data:/data" -w /tmp -e A=b "$IMAGE" python3 -c \
        "import os; open('/data/out', 'w').write(os.getcwd() + os.environ['A'])"
    equals "$(cat "$WORK/podman-data/out")" /tmpb
}
real_case "podman options" podman_options

podman_confined() {
    equals "$(in_podman --read-only --user 1000 --cap-drop all --security-opt no-new-privileges \
        "$IMAGE" python3 -c "print('confined')")" confined
}
run_case "podman all confinements" podman_confined

podman_stop() {
    local took
    podman run -d --pull never --name stop "$IMAGE" python3 -u -c "import time; print('ready'); time.sleep(60)"
    podman_ready() { podman logs stop | grep -q ready; }
    eventually podman_ready
    equals "$(podman exec stop python3 -c "print('inside')")" inside
    took=$(seconds_of podman stop stop)
    at_most "$took" 2
    equals "$(podman inspect -f '{{.State.ExitCode}}' stop)" 143
    podman rm stop
}
run_case "podman exec and stop" podman_stop

# Checks an image built from context/Dockerfile.
podman_derived() {
    equals "$(in_podman "$1")" "app says hi"
    equals "$(in_podman "$1" python3 -c "print(open('/app/made').read(), end='')")" written
}
podman_build() {
    podman build --pull=never --no-cache -t localhost/derived -f Dockerfile .
    podman_derived localhost/derived
}
run_case "podman build" podman_build

podman_package() {
    podman build --pull=never --no-cache --format docker -t localhost/package -f Package.Dockerfile .
    equals "$(in_podman localhost/package)" "hello you all and me"
    equals "$(in_podman --entrypoint greet-split localhost/package x)" "['/usr/local/bin/greet-split', 'x'] 1"
}
real_case "podman package in a derived image" podman_package

buildah_bud() {
    buildah bud --pull-never --no-cache --isolation chroot -t localhost/bud -f Dockerfile .
    podman_derived localhost/bud
}
run_case "buildah bud" buildah_bud

podman_tampered() {
    podman build --pull=never -t localhost/tampered -f Tampered.Dockerfile .
    refused_with "$PYTHON" in_podman localhost/tampered python3 -c "print('no')"
}
run_case "podman tampered stub" podman_tampered
