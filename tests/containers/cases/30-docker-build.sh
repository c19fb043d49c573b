# Docker: images built on top, with BuildKit and with the classic builder.
build() { docker build --no-cache --network none "$@" "$WORK/context"; }

build_and_run() {
    DOCKER_BUILDKIT=$2 build -t "$1" -f Dockerfile
    equals "$(in_docker "$1")" "app says hi"
    equals "$(in_docker "$1" /app/script)" "script says hi"
    equals "$(in_docker "$1" python3 -c "print(open('/app/made').read(), end='')")" written
}
run_case "docker build with BuildKit" build_and_run derived 1
run_case "docker build with the classic builder" build_and_run derived-classic 0

# The stub with one digit of its digest changed, and a stub that no route knows.
make_stubs() {
    local id stub digit
    id=$(docker create "$IMAGE")
    docker cp -L "$id:$PYTHON" "$WORK/context/stub"
    docker rm "$id"
    stub=$(<"$WORK/context/stub")
    digit=${stub:60:1}
    printf '%s%s%s\n' "${stub:0:60}" "$([[ $digit == 0 ]] && echo 1 || echo 0)" "${stub:61}" \
        >"$WORK/context/tampered-stub"
    printf '#!/.vkernel/megabinary sha256:%064d\n' 0 >"$WORK/context/unrouted-stub"
    chmod 755 "$WORK"/context/{tampered,unrouted}-stub
    fails cmp "$WORK/context/stub" "$WORK/context/tampered-stub"
}
run_case "stubs to tamper with" make_stubs

tampered() {
    DOCKER_BUILDKIT=1 build -t tampered -f Tampered.Dockerfile
    refused_with "$PYTHON" in_docker tampered python3 -c "print('no')"
}
run_case "docker tampered stub" tampered

unrouted() {
    DOCKER_BUILDKIT=1 build -t unrouted -f Unrouted.Dockerfile
    refused_with /usr/bin/unrouted in_docker unrouted unrouted
    # The rest of the image still runs.
    equals "$(in_docker unrouted python3 -c "print('still')")" still
}
run_case "docker file without a route" unrouted
