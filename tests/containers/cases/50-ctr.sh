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

# A container and its tasks: exec in it, a signal, its status.
ctr_tasks() {
    ctr run -d "$FULL_IMAGE" sleeper python3 -c "import time; time.sleep(60)"
    equals "$(ctr task exec --exec-id inside sleeper python3 -c "print('inside')")" inside
    contains "$(ctr task ls)" RUNNING
    ctr task kill -s SIGTERM sleeper
    is_stopped() { ctr task ls | grep -q STOPPED; }
    eventually is_stopped
    exits_with 0 "exit code 143" ctr task rm sleeper
    ctr container rm sleeper
}
real_case "ctr exec and kill" ctr_tasks

ctr_mount() {
    mkdir "$WORK/ctr-data"
    ctr run --rm --mount "type=bind,src=$WORK/ctr-data,dst=/data,options=rbind:rw" --env A=b --cwd /tmp \
        "$FULL_IMAGE" mount python3 -c "import os; open('/data/out', 'w').write(os.getcwd() + os.environ['A'])"
    equals "$(cat "$WORK/ctr-data/out")" /tmpb
}
real_case "ctr mount" ctr_mount
