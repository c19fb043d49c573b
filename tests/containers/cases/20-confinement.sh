# Docker: the same image under the usual confinements, each alone and all together.
confined() { equals "$(in_docker "$@" "$IMAGE" python3 -c "print('confined')")" confined; }

ALL=(--read-only --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 --memory 512m)
run_case "docker --read-only" confined --read-only
run_case "docker --user 1000" confined --user 1000
run_case "docker --cap-drop ALL" confined --cap-drop ALL
run_case "docker no-new-privileges" confined --security-opt no-new-privileges
run_case "docker --network none" confined
run_case "docker --memory 64m" confined --memory 64m
run_case "docker --pids-limit 1" confined --pids-limit 1
run_case "docker without a seccomp profile" confined --security-opt seccomp=unconfined
run_case "docker all confinements" confined "${ALL[@]}"

read_only_holds() {
    exits 1 in_docker --read-only "$IMAGE" python3 -c "open('/etc/made', 'w').write('written\n')"
    exits 0 in_docker "$IMAGE" python3 -c "open('/etc/made', 'w').write('written\n')"
}
run_case "docker --read-only refuses writing" read_only_holds

user_holds() {
    exits_with 1 "Permission denied: '/root/made'" \
        in_docker --user 1000 "$IMAGE" python3 -c "open('/root/made', 'w')"
    exits 0 in_docker --user 1000 "$IMAGE" python3 -c "open('/tmp/made', 'w').write('x')"
}
real_case "docker --user may write what it may" user_holds

# Profiles that deny what the vkernel would like to use, with both errors that engines choose:
# openat2 and Landlock are newer than some engines' profiles.
profile() {
    local name=$1 errno=$2
    shift 2
    printf '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [%s], "action": "SCMP_ACT_ERRNO", "errnoRet": %s}]}\n' \
        "$(printf ', "%s"' "$@" | cut -c 3-)" "$errno" >"$WORK/$name.json"
}
old_profile() {
    profile "old-$1" "$1" openat2 landlock_create_ruleset landlock_add_rule landlock_restrict_self \
        close_range faccessat2 statx rseq clone3
    confined --security-opt "seccomp=$WORK/old-$1.json"
    exits_with 1 "Read-only file system: '/etc/made'" \
        in_docker --read-only --security-opt "seccomp=$WORK/old-$1.json" "$IMAGE" python3 -c "open('/etc/made', 'w')"
}
real_case "docker profile that answers ENOSYS to newer calls" old_profile 38
real_case "docker profile that answers EPERM to newer calls" old_profile 1

# What must be there is not done without.
no_filters() {
    profile no-seccomp 1 seccomp
    exits_with 125 "nothing was run" \
        in_docker --security-opt "seccomp=$WORK/no-seccomp.json" "$IMAGE" python3 -c "print('no')"
}
real_case "docker profile that denies seccomp" no_filters

memory_limit() {
    exits 137 in_docker --memory 64m "$IMAGE" python3 -c "x = [bytearray(1 << 20) for _ in range(256)]"
}
real_case "docker --memory is the end" memory_limit

files_limit() {
    local code="
files = []
try:
    while True: files.append(open('/etc/passwd'))
except OSError as e: print(e.strerror, len(files) > 50)"
    equals "$(in_docker --ulimit nofile=64 "$IMAGE" python3 -c "$code")" "No file descriptors available True"
}
real_case "docker --ulimit nofile" files_limit

# EFBIG, never death by SIGXFSZ, which process 1 alone is safe from.
size_limit() {
    local code="
f = open('/tmp/f', 'wb', 0)
print(f.write(b'x' * 5000))
try: f.write(b'x')
except OSError as e: print(e.strerror)"
    equals "$(in_docker --ulimit fsize=1000 "$@" "$IMAGE" python3 -c "$code")" $'1000\nFile too large'
}
real_case "docker --ulimit fsize" size_limit
real_case "docker --ulimit fsize, not process 1" size_limit --pid host

stack_limit() {
    exits_with 125 "bytes of stack" in_docker --ulimit stack=1048576:1048576 "$IMAGE" python3 -V
}
real_case "docker --ulimit stack that is too small" stack_limit
