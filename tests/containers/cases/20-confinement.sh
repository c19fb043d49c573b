# Docker: the same image under the usual confinements, each alone and all together.
confined() { equals "$(in_docker "$@" "$IMAGE" python3 -c "print('confined')")" confined; }

ALL=(--read-only --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 --memory 512m)
run_case "docker --read-only" confined --read-only
run_case "docker --user 1000" confined --user 1000
run_case "docker --cap-drop ALL" confined --cap-drop ALL
run_case "docker no-new-privileges" confined --security-opt no-new-privileges
run_case "docker --network none" confined
run_case "docker all confinements" confined "${ALL[@]}"

read_only_holds() {
    exits 1 in_docker --read-only "$IMAGE" python3 -c "open('/etc/made', 'w').write('written\n')"
    exits 0 in_docker "$IMAGE" python3 -c "open('/etc/made', 'w').write('written\n')"
}
run_case "docker --read-only refuses writing" read_only_holds
