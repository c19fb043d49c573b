# Docker: running the image itself.
start containerd start_containerd
start dockerd start_dockerd

load() { contains "$(docker load -i "$IMAGE_DIR/docker-archive.tar")" "Loaded image: $IMAGE"; }
run_case "docker load" load

in_docker() { docker run --rm --network none "$@"; }

version() { contains "$(in_docker "$IMAGE" python3 -c 'import sys; print(sys.version)')" "$VERSION"; }
run_case "docker run" version

exit_codes() {
    local status
    for status in 0 1 3 7 255; do
        exits "$status" in_docker "$IMAGE" python3 -c "import sys; sys.exit($status)"
    done
}
run_case "docker exit codes" exit_codes

uncaught() { exits_with 1 "RuntimeError: said" in_docker "$IMAGE" python3 -c 'raise RuntimeError("said")'; }
real_case "docker uncaught exception" uncaught

# What a user sees who names what the image does not have: the engine's words, see README.md.
no_program() {
    exits_with 127 'exec: "no-such-program": executable file not found in $PATH' in_docker "$IMAGE" no-such-program
    exits_with 127 'exec: "bash": executable file not found in $PATH' in_docker "$IMAGE" bash -c 'echo hi'
    exits_with 127 'exec: "/bin/bash": stat /bin/bash: no such file or directory' in_docker "$IMAGE" /bin/bash
    exits_with 126 'exec: "/etc/passwd": permission denied' in_docker "$IMAGE" /etc/passwd
}
run_case "docker run of what is not there" no_program

# The same from inside is the vkernel's answer.
no_program_inside() {
    exits_with 127 "env: cannot find the program bash in PATH" in_docker "$IMAGE" env bash -c 'echo hi'
    exits_with 2 "can't open file" in_docker "$IMAGE" python3 missing.py
}
real_case "docker run of what is not there, by env" no_program_inside

programs() {
    local name
    for name in python3 python python3.12 /usr/local/bin/python3; do
        equals "$(in_docker "$IMAGE" "$name" -V)" "Python $VERSION"
    done
    equals "$(in_docker --entrypoint python3 "$IMAGE" -V)" "Python $VERSION"
    equals "$(in_docker -e GIVEN=yes "$IMAGE" env python3 -c 'import os; print(os.environ["GIVEN"])')" yes
    contains "$(in_docker -e GIVEN=yes "$IMAGE" env)" GIVEN=yes
}
real_case "docker run by each name" programs

stdin_script() { equals "$(echo "print('from stdin')" | in_docker -i "$IMAGE" python3 -)" "from stdin"; }
run_case "docker stdin script" stdin_script

default_command() { equals "$(echo "print('from stdin')" | in_docker -i "$IMAGE")" "from stdin"; }
real_case "docker default command with a script on stdin" default_command

environment() {
    local code='import os, sys; print(os.getcwd(), os.environ["A"], os.environ["HOME"], sys.stdout.write_through)'
    equals "$(in_docker -w /tmp -e A="b c" -e PYTHONUNBUFFERED=1 "$IMAGE" python3 -c "$code")" "/tmp b c /root True"
    # Docker makes a folder that is not there.
    equals "$(in_docker -w /new/folder "$IMAGE" python3 -c 'import os; print(os.getcwd(), os.listdir())')" "/new/folder []"
}
real_case "docker -w and -e" environment

# A folder of the host: read, written, renamed; refused when mounted read-only.
bind_mount() {
    mkdir "$WORK/data" && echo given >"$WORK/data/in"
    in_docker -v "$WORK/data:/data" "$IMAGE" python3 -c "
import os
os.mkdir('/data/sub')
with open('/data/in') as i, open('/data/made', 'w') as o: o.write(i.read().upper())
os.rename('/data/made', '/data/sub/out')"
    equals "$(cat "$WORK/data/sub/out")" GIVEN
    exits_with 1 "Read-only file system: '/data/no'" \
        in_docker -v "$WORK/data:/data:ro" "$IMAGE" python3 -c "open('/data/no', 'w')"
    # One file over one of the image's.
    equals "$(in_docker -v "$WORK/data/in:/etc/passwd:ro" "$IMAGE" python3 -c "print(open('/etc/passwd').read())")" given
}
real_case "docker -v with a folder of the host" bind_mount

volume() {
    in_docker -v kept:/data "$IMAGE" python3 -c "open('/data/kept', 'w').write('kept')"
    equals "$(in_docker -v kept:/data "$IMAGE" python3 -c "print(open('/data/kept').read())")" kept
    equals "$(in_docker --read-only --tmpfs /data "$IMAGE" python3 -c "print(open('/data/t', 'w').write('abc'))")" 3
    docker volume rm kept
}
real_case "docker volumes and --tmpfs" volume

terminal() {
    local shown
    shown=$(docker_tty run --rm --network none -t "$IMAGE" \
        python3 -c 'import sys; print(*(f.isatty() for f in (sys.stdin, sys.stdout, sys.stderr)))')
    equals "$(tr -d '\r' <<<"$shown")" "True True True"
    # The interactive interpreter, typed to.
    shown=$( (sleep 1.5; echo 'print(6 * 7)'; sleep 0.3; echo 'raise SystemExit(4)'; sleep 1) |
        exits 4 docker_tty run --rm --network none -it "$IMAGE")
    contains "$shown" "Python $VERSION"
    contains "$shown" $'\n42\r'
}
real_case "docker -t" terminal

# Control-C at a terminal.
control_c() {
    (sleep 2; printf '\003'; sleep 1) |
        exits 130 docker_tty run --rm --network none -it "$IMAGE" python3 -c 'import time; time.sleep(60)'
}
real_case "docker -it and Control-C" control_c

# Starts a container that prints "ready" and then does nothing for a minute.
sleeper() {
    docker run -d --network none --name "$1" "$IMAGE" \
        python3 -u -c "import time; print('ready'); time.sleep(60)"
    eventually sleeper_ready "$1"
}
sleeper_ready() { docker logs "$1" | grep -q ready; }

exec_in() {
    sleeper exec
    equals "$(docker exec exec python3 -c "print('inside')")" inside
    exits 3 docker exec exec python3 -c 'import sys; sys.exit(3)'
    exits_with 126 'exec: "bash": executable file not found in $PATH' docker exec exec bash
    docker rm -f exec
}
run_case "docker exec" exec_in

exec_options() {
    sleeper options
    equals "$(echo "print('piped')" | docker exec -i options python3)" piped
    equals "$(docker exec -w /tmp -e A=b -u 1000 options python3 -c 'import os; print(os.getcwd(), os.environ["A"])')" "/tmp b"
    docker rm -f options
}
real_case "docker exec with options" exec_options

# Line by line as they are printed, each stream by itself; the process under its program's name.
logs_and_top() {
    docker run -d --network none --name logs -e PYTHONUNBUFFERED=1 "$IMAGE" python3 -c "
import sys, time
print('first'); print('ready', file=sys.stderr); time.sleep(60)"
    eventually sleeper_ready_stderr logs
    equals "$(docker logs logs 2>/dev/null)" first
    equals "$(docker logs logs 2>&1 >/dev/null)" ready
    equals "$(docker top logs -o pid,comm | awk 'NR > 1 { print $2 }')" python3
    contains "$(docker top logs -o pid,args)" "$PYTHON -c"
    docker rm -f logs
}
sleeper_ready_stderr() { docker logs "$1" 2>&1 | grep -q ready; }
real_case "docker logs and top" logs_and_top

pause_and_copy() {
    sleeper copy
    docker pause copy
    docker unpause copy
    echo "print('copied')" >"$WORK/copied.py"
    docker cp "$WORK/copied.py" copy:/tmp/copied.py
    equals "$(docker exec copy python3 /tmp/copied.py)" copied
    docker commit -c 'CMD ["python3", "/tmp/copied.py"]' copy committed
    equals "$(in_docker committed)" copied
    docker rm -f copy
}
real_case "docker pause, cp and commit" pause_and_copy

# Process 1 has to answer SIGTERM itself; docker would kill it after ten seconds. The limit is for
# all of docker's work on a busy machine; the process itself ends within milliseconds.
stop() {
    local took
    sleeper stop
    took=$(seconds_of docker stop stop)
    echo "stopped after $took s"
    at_most "$took" 1
    equals "$(docker inspect -f '{{.State.ExitCode}}' stop)" 143
    docker rm stop
}
run_case "docker stop" stop

# Where it is not process 1, the signal itself ends it.
stop_not_first() {
    docker run -d --network none --name "$1" "${@:2}" "$IMAGE" \
        python3 -u -c "import time; print('ready'); time.sleep(60)"
    eventually sleeper_ready "$1"
    at_most "$(seconds_of docker stop "$1")" 1
    equals "$(docker inspect -f '{{.State.ExitCode}}' "$1")" 143
    docker rm "$1"
}
real_case "docker stop under --init" stop_not_first stop-init --init
real_case "docker stop with the host's process ids" stop_not_first stop-host --pid host

interrupt() {
    sleeper interrupt
    docker kill -s INT interrupt
    # Python turns SIGINT into KeyboardInterrupt and then ends by the signal or with status 1.
    [[ $(docker wait interrupt) =~ ^(1|130)$ ]]
    docker rm interrupt
}
run_case "docker kill -s INT" interrupt

two() {
    sleeper one
    sleeper two
    equals "$(docker exec one python3 -c "print('1')")$(docker exec two python3 -c "print('2')")" 12
    docker rm -f one two
}
run_case "docker two containers" two
