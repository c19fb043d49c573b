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

package() {
    DOCKER_BUILDKIT=$2 build -t "$1" -f Package.Dockerfile
    equals "$(in_docker "$1")" "hello you all and me"
    # Compiled by RUN, found by the import.
    equals "$(in_docker --entrypoint python3 "$1" -c "
import greet.words, os
print(os.path.basename(greet.words.__cached__), os.path.exists(greet.words.__cached__), os.getcwd())")" \
        "words.cpython-312.pyc True /srv"
}
real_case "docker package in a derived image, BuildKit" package package 1
real_case "docker package in a derived image, classic builder" package package-classic 0

# Commands by every kind of `#!` line.
scripts() {
    equals "$(in_docker package "a  b")" "hello a  b"
    equals "$(in_docker --entrypoint greet-option package x)" "hello x 1"
    equals "$(in_docker --entrypoint greet-split package x)" "['/usr/local/bin/greet-split', 'x'] 1"
    equals "$(in_docker --entrypoint greet-nested package x)" "hello /usr/local/bin/greet-nested and x"
    equals "$(in_docker --entrypoint python3 package -m greet x)" "hello x"
}
real_case "docker scripts in a derived image" scripts

# The image's health check, in exec form, and a user's command by docker exec.
health() {
    docker run -d --network none --name health --entrypoint python3 package \
        -u -c "import time; print('ready'); open('/tmp/up', 'w'); time.sleep(60)"
    is() { [[ $(docker inspect -f '{{.State.Health.Status}}' health) == "$1" ]]; }
    eventually is healthy
    equals "$(docker exec health greet-env b)" "hello b"
    equals "$(docker exec health greet-option c)" "hello c 1"
    docker exec health python3 -c "import os; os.remove('/tmp/up')"
    eventually is unhealthy
    docker rm -f health
}
real_case "docker health check and exec of a script" health

stages() {
    DOCKER_BUILDKIT=$1 build -t stages -f Stages.Dockerfile
    equals "$(in_docker stages)" "hello stage"
}
real_case "docker build in two stages, BuildKit" stages 1
real_case "docker build in two stages, classic builder" stages 0

# RUN and CMD in shell form, by the image's own shell and tools.
shell_form() {
    DOCKER_BUILDKIT=$2 build -t "$1" -f Shell.Dockerfile
    equals "$(in_docker "$1")" $'line 1\nline 2\nline 3\nFROM Python\n8\n/srv'
}
real_case "docker build in shell form, BuildKit" shell_form shell-form 1
real_case "docker build in shell form, classic builder" shell_form shell-form-classic 0

# A native program in the image is never run by a guest, as what is named or as an interpreter.
native() {
    printf '%s\n' '#include <stdio.h>' 'int main(void) { return puts("native code ran") < 0; }' >native.c
    gcc -static -o native native.c
    DOCKER_BUILDKIT=1 build -t native -f Native.Dockerfile
    # It is sound: the host's kernel, which the engine asks, runs it.
    equals "$(in_docker native /opt/native)" "native code ran"
    local command
    for command in "env /opt/native" "/opt/by-native" "env /opt/by-native" "/opt/by-nested"; do
        # shellcheck disable=SC2086 # words
        refused_with "cannot execute /opt/native: it is neither a program of this image" in_docker native $command
    done
}
real_case "docker native program as an interpreter" native

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
    # By whatever other way it is reached: a script's interpreter, env, docker exec's path.
    [[ -n $STANDIN ]] || refused_with "$PYTHON" in_docker tampered env python3 -c "print('no')"
}
run_case "docker tampered stub" tampered

unrouted() {
    DOCKER_BUILDKIT=1 build -t unrouted -f Unrouted.Dockerfile
    refused_with /usr/bin/unrouted in_docker unrouted unrouted
    # The rest of the image still runs.
    equals "$(in_docker unrouted python3 -c "print('still')")" still
}
run_case "docker file without a route" unrouted
