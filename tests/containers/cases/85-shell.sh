# A shell in each client: what shells ask of a kernel (pipes, subshells, traps, jobs), what the
# vkernel refuses it, how it ends, and what is built on top of it in shell form.
SHELL_IMAGE=example/shell:1.0.0

shell_build() {
    [[ -n ${SHELL_DIR:-} ]] || CALL_TIMEOUT=900 polybuild_build "$ROOT/recipes/examples/shell/recipe.toml" "$WORK/shell"
    local form
    for form in oci-layout oci-archive.tar docker-archive.tar; do
        verify "${SHELL_DIR:-$WORK/shell}/$form"
    done
}
real_case "shell build and verify" shell_build

# The image has nothing but the shell: `:` in a loop is what does not end.
SHELL_SCRIPT=$(cat <<'END'
printf 'b\na\n' | (read x; echo $x; exit 3); echo $?
printf 'b\na  c\n' | while read -r line; do echo "<$line>"; done
name=here
while read -r line; do echo "$line"; done <<EOF
$name 1
$(echo document)
EOF
echo $(echo one $(echo two $(echo three)))
(trap 'echo left' EXIT; exit 4); echo $?
sh -c 'trap "echo usr1" USR1; kill -USR1 $$; echo after'
sh -c 'kill -TERM $$'; echo $?
while :; do :; done & kill $!; wait $!; echo $?
(exit 5) & wait $!; echo $?
sh -c 'exit 6' & first=$!; sh -c 'exit 7' & wait $first; echo $?; wait $!; echo $?
exec 3>/tmp/by-descriptor; echo written >&3; exec 3>&-; read -r line </tmp/by-descriptor; echo $line
trap 'echo end' EXIT
END
)
SHELL_SAYS='b
3
<b>
<a  c>
here 1
document
one two three
left
4
usr1
after
143
143
5
6
7
written
end'

# What is mounted at /data: scripts without a `#!` line, a program of the host's.
shell_data() {
    mkdir "$WORK/shell-data"
    cp "$WORK/context/no-line" "$WORK/shell-data/script"
    cp "$WORK/context/no-line" "$WORK/shell-data/not-executable"
    chmod 644 "$WORK/shell-data/not-executable"
    cp /bin/true "$WORK/shell-data/native"
    printf '\0asm\1\0\0\0' >"$WORK/shell-data/module"
    printf '#!/data/native\n' >"$WORK/shell-data/by-native"
    chmod 755 "$WORK/shell-data"/{module,by-native}
}
real_case "shell files without a route" shell_data

# shell_scripts CLIENT...: what runs a command in the image, with /data.
shell_scripts() {
    equals "$("$@" sh -c "$SHELL_SCRIPT")" "$SHELL_SAYS"
    exits 9 "$@" sh -c 'exit 9'
}

shell_files() {
    equals "$("$@" sh -c '/data/script "a b"; cd /data; ./script; echo $?')" $'1 a b\n0 \n1'
    exits_with 126 "/data/not-executable: Permission denied" "$@" sh -c /data/not-executable
    local file
    for file in native module by-native; do
        exits_with 126 "/data/$file: Permission denied" "$@" sh -c "/data/$file"
        equals "$("$@" sh -c "/data/$file 2>/dev/null; echo \$?")" 126
    done
    exits_with 2 "cannot create /proc/self/mem: Permission denied" "$@" sh -c 'echo x >/proc/self/mem'
    exits_with 127 "nowhere: not found" "$@" sh -c nowhere
}

shell_docker() { in_docker -v "$WORK/shell-data:/data:ro" "$@"; }
docker_load_shell() {
    contains "$(docker load -i "${SHELL_DIR:-$WORK/shell}/docker-archive.tar")" "Loaded image: $SHELL_IMAGE"
}
real_case "shell docker load" docker_load_shell
real_case "shell in docker" shell_scripts shell_docker "$SHELL_IMAGE"
real_case "shell in docker, all confinements" shell_scripts shell_docker "${ALL[@]}" --tmpfs /tmp "$SHELL_IMAGE"
real_case "shell in docker, files without a route" shell_files shell_docker "$SHELL_IMAGE"

# The refusals are events; that a script has no `#!` line is none.
shell_audit() {
    local said
    said=$(shell_docker -e VKERNEL_AUDIT=stderr "$SHELL_IMAGE" sh -c '/data/native; /data/script 1; echo x >/proc/self/mem' 2>&1) || true
    contains "$said" '"operation":"execve","errno":"EACCES"'
    contains "$said" "/data/native: it is neither a program of this image"
    contains "$said" '"operation":"open","errno":"EACCES"'
    equals "$(grep -c '"event":"refusal"' <<<"$said")" 2
}
real_case "shell in docker, refusals in the audit" shell_audit

# The process's name and arguments are the program's, as the host shows them.
shell_top() {
    docker run -d --network none --name shell-top "$SHELL_IMAGE" \
        sh -c 'echo ready; sh -c "while :; do :; done" given & exec sh -c "while :; do :; done; :" "a b"'
    eventually sleeper_ready shell-top
    is_shown() { contains "$(docker top shell-top -o pid,args)" "sh -c while :; do :; done; : a b"; }
    eventually is_shown
    contains "$(docker top shell-top -o pid,args)" "sh -c while :; do :; done given"
    equals "$(docker top shell-top -o pid,comm | awk 'NR > 1 { print $2 }' | sort -u)" sh
    fails grep -q vkernel <<<"$(docker top shell-top -o pid,args)"
    docker rm -f shell-top
}
real_case "shell in docker top" shell_top

shell_exec() {
    docker run -d -i --network none --name shell-exec "$SHELL_IMAGE" sh -c 'echo ready; read -r x'
    eventually sleeper_ready shell-exec
    equals "$(echo 'echo typed; exit 3' | exits 3 docker exec -i shell-exec sh)" typed
    equals "$(docker exec -e A="b c" -w /tmp shell-exec sh -c 'echo "$A $PWD"')" "b c /tmp"
    # What is copied in, by its path and by the engine.
    docker cp "$WORK/shell-data/script" shell-exec:/tmp/x
    docker cp "$WORK/shell-data/native" shell-exec:/tmp/native
    equals "$(docker exec shell-exec sh -c '/tmp/x copied')" "1 copied"
    exits_with 126 "/tmp/native: Permission denied" docker exec shell-exec sh -c /tmp/native
    exits_with 1 "exec format error" docker exec shell-exec /tmp/x
    docker rm -f shell-exec
}
real_case "shell in docker exec" shell_exec

# At a terminal: a prompt, Control-C of a program, the status.
shell_terminal() {
    local shown
    shown=$( (sleep 1.5; echo 'echo $((6 * 7))'; sleep 0.3; echo 'while :; do :; done'; sleep 0.5
        printf '\003'; sleep 0.3; echo 'exit 4'; sleep 1) |
        exits 4 docker_tty run --rm --network none -it "$SHELL_IMAGE")
    contains "$shown" $'\n42\r'
}
real_case "shell in docker -it and Control-C" shell_terminal

# shell_stop STATUS LOG SCRIPT: the script prints "ready" and waits; docker stop ends it at once.
# The limit is docker's own work on a busy machine; it would wait for ten seconds.
shell_stop() {
    local status=$1 log=$2 took
    docker run -d -i --network none --name shell-stop "$SHELL_IMAGE" sh -c "$3"
    eventually sleeper_ready shell-stop
    took=$(seconds_of docker stop shell-stop)
    echo "stopped after $took s"
    at_most "$took" 1
    equals "$(docker inspect -f '{{.State.ExitCode}}' shell-stop)" "$status"
    equals "$(docker logs shell-stop)" "$log"
    docker rm shell-stop
}
real_case "shell docker stop of a loop" shell_stop 143 ready 'echo ready; while :; do :; done'
real_case "shell docker stop of a read" shell_stop 143 ready 'echo ready; read -r x'
real_case "shell docker stop of a wait" shell_stop 143 ready '(while :; do :; done) & echo ready; wait'
real_case "shell docker stop of a child in front" shell_stop 143 ready 'sh -c "echo ready; read -r x"; exit $?'
real_case "shell docker stop with a trap in a loop" shell_stop 5 $'ready\nstopping' \
    'trap "echo stopping; exit 5" TERM; echo ready; while :; do :; done'
real_case "shell docker stop with a trap in a wait" shell_stop 6 $'ready\n143' \
    '(while :; do :; done) & trap "kill $!; wait $!; echo \$?; exit 6" TERM; echo ready; wait'

# On top of it, in shell form.
shell_derived() {
    DOCKER_BUILDKIT=$2 build -t "$1" -f Sh.Dockerfile
    equals "$(in_docker "$1")" hi
    equals "$(in_docker "$1" sh -c 'read -r line </tmp/made; echo "$line"')" "1 built"
    equals "$(in_docker "$1" /bin/sh -c '/opt/no-line x')" "1 x"
    docker save -o "$WORK/$1.tar" "$1"
    verify "$WORK/$1.tar"
}
real_case "shell docker build in shell form, BuildKit" shell_derived shell-derived 1
real_case "shell docker build in shell form, classic builder" shell_derived shell-derived-classic 0

shell_podman() { in_podman -v "$WORK/shell-data:/data:ro" "$@"; }
podman_load_shell() { podman load -i "${SHELL_DIR:-$WORK/shell}/oci-archive.tar"; }
real_case "shell podman load" podman_load_shell
real_case "shell in podman" shell_scripts shell_podman "$SHELL_IMAGE"
real_case "shell in podman, files without a route" shell_files shell_podman "$SHELL_IMAGE"

podman_shell_stop() {
    local took
    podman run -d -i --pull never --name shell-stop "$SHELL_IMAGE" sh -c 'echo ready; read -r x'
    is_ready() { podman logs shell-stop | grep -q ready; }
    eventually is_ready
    took=$(seconds_of podman stop shell-stop)
    at_most "$took" 2
    equals "$(podman inspect -f '{{.State.ExitCode}}' shell-stop)" 143
    podman rm shell-stop
}
real_case "shell podman stop" podman_shell_stop

podman_shell_derived() {
    podman build --pull=never --no-cache --format docker -t localhost/shell-derived -f Sh.Dockerfile .
    equals "$(in_podman localhost/shell-derived)" hi
    podman save --format oci-archive -o "$WORK/shell-podman.tar" localhost/shell-derived
    verify "$WORK/shell-podman.tar"
}
real_case "shell podman build in shell form" podman_shell_derived

ctr_load_shell() { ctr image import "${SHELL_DIR:-$WORK/shell}/oci-archive.tar"; }
# Each container a name of its own: one that has ended may be there for a moment.
shell_ctr() {
    ctr run --rm --mount "type=bind,src=$WORK/shell-data,dst=/data,options=rbind:ro" \
        "docker.io/$SHELL_IMAGE" "shell-$BASHPID-$RANDOM" "$@"
}
real_case "shell ctr image import" ctr_load_shell
real_case "shell in ctr" shell_scripts shell_ctr
real_case "shell in ctr, files without a route" shell_files shell_ctr

ctr_shell_tasks() {
    ctr run -d "docker.io/$SHELL_IMAGE" shell-loop sh -c 'while :; do :; done'
    equals "$(ctr task exec --exec-id inside shell-loop sh -c 'echo inside')" inside
    ctr task kill -s SIGTERM shell-loop
    is_stopped() { ctr task ls | grep -q STOPPED; }
    eventually is_stopped
    exits_with 0 "exit code 143" ctr task rm shell-loop
    ctr container rm shell-loop
}
real_case "shell ctr exec and kill" ctr_shell_tasks
