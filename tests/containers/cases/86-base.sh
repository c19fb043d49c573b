# The curated image of a shell and core tools.
BASE_IMAGE=vkernel/base:1.0

base_build() {
    [[ -n ${BASE_DIR:-} ]] || polybuild_build "$ROOT/base-images/base/1.0/recipe.toml" "$WORK/base"
    verify "${BASE_DIR:-$WORK/base}/docker-archive.tar"
    docker load -i "${BASE_DIR:-$WORK/base}/docker-archive.tar"
}
real_case "base build, verify and load" base_build

BASE_SCRIPT=$(cat <<'END'
printf 'b\na\n' | sort | (read x; echo $x; exit 3); echo $?
cat <<EOF
here $((1 + 2))
EOF
trap 'echo usr1' USR1; kill -USR1 $$
sleep 60 & kill $!; wait $!; echo $?
echo $(echo $(echo $(echo deep)))
mkdir -p /tmp/d/e; for i in 1 2 3; do echo "line $i" >/tmp/d/f$i; done
find /tmp/d -type f | sort | xargs cat | awk '{ s += $2 } END { print NR, s }'
cd /tmp; tar c d | (mkdir x; cd x; tar x; find . -type f | sort)
gzip -c d/f1 | gunzip | sha256sum | cut -c 1-16
diff d/f1 x/d/f1 && sed s/line/LINE/ d/f2 | tr A-Z a-z
grep -rl 'line 3' d; ls -l d | wc -l; dd if=/dev/zero bs=1k count=3 2>/dev/null | wc -c
trap 'echo end' EXIT
END
)
BASE_SAYS='a
3
here 3
usr1
143
deep
3 6
./d/f1
./d/f2
./d/f3
39d031a6c1c19635
line 2
d/f3
5
3072
end'

base_script() { equals "$("$@" sh -c "$BASE_SCRIPT")" "$BASE_SAYS"; }
real_case "base in docker" base_script in_docker "$BASE_IMAGE"
real_case "base in docker, all confinements" base_script in_docker "${ALL[@]}" --tmpfs /tmp "$BASE_IMAGE"

base_podman() {
    podman load -i "${BASE_DIR:-$WORK/base}/oci-archive.tar"
    base_script in_podman "$BASE_IMAGE"
}
real_case "base in podman" base_podman

# Job control, which a shell has at a terminal.
base_terminal() {
    local shown
    shown=$( (sleep 3; echo 'sleep 60 &'; sleep 1; echo 'kill %1; wait %1; echo status $?'; sleep 1
        echo 'sleep 60'; sleep 1; printf '\032'; sleep 1; echo 'jobs; kill %1; fg; echo then $?'
        sleep 1; echo 'exit 4'; sleep 1) |
        exits 4 docker_tty run --rm --network none -it "$BASE_IMAGE")
    contains "$shown" $'\nstatus 143\r'
    contains "$shown" "Stopped"
    contains "$shown" $'\nthen 143\r'
}
real_case "base in docker -it, job control" base_terminal

# Ten of them at once, each with pipelines: processes do not get into each other's way.
base_many() {
    local said
    # shellcheck disable=SC2016 # for the shell in the image
    said=$(in_docker "$BASE_IMAGE" sh -c '
        for n in 1 2 3 4 5 6 7 8 9 10; do
            (for m in 1 2 3 4 5; do seq 100 | sort -r | head -1; done | uniq -c | tr -s " ") &
        done; wait')
    equals "$(sort -u <<<"$said")" " 5 99"
    equals "$(wc -l <<<"$said")" 10
}
real_case "base in docker, many pipelines" base_many

# Without an engine: the folder, /proc and the devices are there, other processes are not.
base_run() {
    mkdir "$WORK/base-run" && cd "$WORK/base-run" && echo here >file
    run() { HOME=$REAL_HOME limited "$POLYBUILD" run "${BASE_DIR:-$WORK/base}" -- sh -c "$1"; }
    equals "$(run 'pwd; cat file; echo x >/dev/null; echo made >made; sleep 1 & wait; echo $?')" \
        $'/work\nhere\n0'
    equals "$(cat made)" made
    equals "$(run 'ps -o args | grep -v -e ps -e grep -e COMMAND -e "sh -c"')" ""
    equals "$(run 'ls /dev')" "$(printf '%s\n' fd full null random shm stderr stdin stdout tty urandom zero)"
    exits 3 run 'exit 3'
    fails grep -q "$WORK/base-run" /proc/mounts
}
real_case "base by polybuild run" base_run
