# Docker: running the image itself.
start containerd start_containerd
start dockerd start_dockerd

load() { contains "$(docker load -i "$IMAGE_DIR/docker-archive.tar")" "Loaded image: $IMAGE"; }
run_case "docker load" load

in_docker() { docker run --rm --network none "$@"; }

version() { contains "$(in_docker "$IMAGE" python3 -c 'import sys; print(sys.version)')" "$VERSION"; }
run_case "docker run" version

exit_codes() {
    exits 0 in_docker "$IMAGE" python3 -c 'import sys; sys.exit(0)'
    exits 7 in_docker "$IMAGE" python3 -c 'import sys; sys.exit(7)'
    exits 1 in_docker "$IMAGE" python3 -c 'raise RuntimeError'
    exits 127 in_docker "$IMAGE" no-such-program
}
run_case "docker exit codes" exit_codes

stdin_script() { equals "$(echo "print('from stdin')" | in_docker -i "$IMAGE" python3 -)" "from stdin"; }
run_case "docker stdin script" stdin_script

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
    docker rm -f exec
}
run_case "docker exec" exec_in

# Well under a second where SIGTERM works as process 1; after ten seconds docker kills.
stop() {
    local took
    sleeper stop
    took=$(seconds_of docker stop stop)
    echo "stopped after $took s"
    at_most "$took" 5
    equals "$(docker inspect -f '{{.State.ExitCode}}' stop)" 143
    docker rm stop
}
run_case "docker stop" stop

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
