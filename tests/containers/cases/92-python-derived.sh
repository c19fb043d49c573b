# `FROM vkernel/python:3.13` as people write it: packages from a local index, a user without rights, a health check, a
# server with workers. Ten thousand requests, none lost; SIGTERM ends it well. In docker, podman and containerd.
DERIVED_PORT=18411

derived_build() {
    local context=$WORK/python-derived
    mkdir -p "$context/index"
    # The index: what pip of this machine takes from its own, pure Python for any machine.
    CALL_TIMEOUT=300 limited python3 -m pip download -q -d "$context/index" --no-deps --only-binary=:all: \
        --platform any --python-version 3.13 --implementation py gunicorn==23.0.0 packaging==25.0 bottle==0.13.4
    cat >"$context/service.py" <<'END'
import atexit, itertools, os, socket, threading
import bottle

count = itertools.count(1)
app = bottle.Bottle()

@app.get("/")
def root():
    return {"pid": os.getpid(), "uid": os.getuid(), "count": next(count)}

# What ends a worker: code after `finally` in a thread that waits, and what atexit has.
def wait(ends=threading.Event()):
    def end():
        ends.set()
        thread.join()
        print("worker: atexit", flush=True)
    def run():
        try:
            ends.wait()
        finally:
            print("worker: finally", flush=True)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    atexit.register(end)

wait()
END
    cat >"$context/Dockerfile" <<END
FROM vkernel/python:3.13
COPY index /index
RUN pip install --no-index --find-links=/index gunicorn bottle && python3 -c "import gunicorn, bottle"
COPY service.py /srv/service.py
WORKDIR /srv
USER 12345
RUN python3 -m venv /tmp/v && /tmp/v/bin/pip install -q --no-index --find-links=/index bottle && \
    /tmp/v/bin/python -c "import bottle, sys; assert bottle.__file__.startswith('/tmp/v/'), bottle" && rm -r /tmp/v
HEALTHCHECK --interval=2s --start-period=2s CMD ["python3", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:$DERIVED_PORT/', timeout=5)"]
CMD ["gunicorn", "--bind=127.0.0.1:$DERIVED_PORT", "--workers=3", "--threads=4", "--keep-alive=30", "service:app"]
END
    DOCKER_BUILDKIT=1 CALL_TIMEOUT=600 docker build --no-cache --network none -t python-derived "$context"
    docker save -o "$WORK/python-derived.tar" python-derived
}
real_case "python derived: pip from a local index, as root, a user and in a venv" derived_build

# Wheels with machine code are not taken; pip says so, also in a venv, and what to do.
derived_machine_code() {
    local index=$WORK/machine-code
    mkdir -p "$index"
    # pip looks at their names, and opens none.
    : >"$index/fast_thing-1.2-cp313-cp313-manylinux_2_17_x86_64.whl"
    : >"$index/fast_thing-1.10-cp313-cp313-manylinux_2_17_x86_64.whl"
    local pip=(docker run --rm --network none -v "$index:/index:ro" vkernel/python:3.13)
    local words=(install --no-index --find-links=/index fast-thing) said
    said=$(exits 1 "${pip[@]}" pip "${words[@]}")
    contains "$said" "No matching distribution found for fast-thing"
    contains "$said" "fast-thing 1.10 has no wheel for this Python"
    contains "$said" "[[extension]]"
    contains "$said" "(gap python-machine-code)"
    exits_with 1 "(gap python-machine-code)" "${pip[@]}" \
        sh -c "python3 -m venv /tmp/v && /tmp/v/bin/pip ${words[*]}"
    # Nothing is said of what nobody has, and programs that are not pip have nothing of it.
    said=$(exits 1 "${pip[@]}" pip install --no-index --find-links=/index nothing)
    [[ $said != *python-machine-code* ]]
    equals "$("${pip[@]}" python3 -c 'import sys; print([n for n in sys.modules if n.startswith("_vkernel")])')" '[]'
}
real_case "python derived: pip says where machine code cannot be taken" derived_machine_code

# Ten thousand requests by ten connections that are kept; each must be answered, by some worker, for the user.
derived_requests() {
    CALL_TIMEOUT=300 limited python3 - "$DERIVED_PORT" <<'END'
import collections, http.client, json, sys, threading
port, seen, problems = int(sys.argv[1]), collections.Counter(), []
def ask(number):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(number):
            connection.request("GET", "/")
            answer = connection.getresponse()
            said = json.loads(answer.read())
            assert answer.status == 200 and said["uid"] == 12345, (answer.status, said)
            seen[said["pid"]] += 1
    except Exception as error:
        problems.append(repr(error))
threads = [threading.Thread(target=ask, args=(1000,)) for _ in range(10)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(len(seen), sum(seen.values()), problems[:3])
END
}
derived_answers() { curl -sS -m 5 --noproxy '*' "http://127.0.0.1:$DERIVED_PORT/" >/dev/null; }

# derived_served: the requests, and that several workers had them.
derived_served() {
    local said
    eventually derived_answers
    said=$(derived_requests)
    echo "$said"
    [[ ${said%% *} -gt 1 ]]
    equals "${said#* }" "10000 []"
}

# derived_ended LOG: what the server and its workers say at the end.
derived_ended() {
    contains "$1" "Handling signal: term"
    contains "$1" "worker: finally"
    contains "$1" "worker: atexit"
    contains "$1" "Shutting down: Master"
}

derived_docker() {
    docker run -d --network host --name derived python-derived
    derived_served
    is() { [[ $(docker inspect -f '{{.State.Health.Status}}' derived) == "$1" ]]; }
    eventually is healthy
    docker stop -t 20 derived
    equals "$(docker inspect -f '{{.State.ExitCode}}' derived)" 0
    derived_ended "$(docker logs derived 2>&1)"
    docker rm derived
}
real_case "python derived: ten thousand requests in docker" derived_docker

derived_podman() {
    podman load -i "$WORK/python-derived.tar"
    podman run -d --network host --name derived python-derived
    derived_served
    podman stop -t 20 derived
    equals "$(podman inspect -f '{{.State.ExitCode}}' derived)" 0
    derived_ended "$(podman logs derived 2>&1)"
    podman rm derived
}
real_case "python derived: ten thousand requests in podman" derived_podman

derived_containerd() {
    ctr image import "$WORK/python-derived.tar"
    ctr run -d --net-host --log-uri "file://$WORK/derived.log" docker.io/library/python-derived:latest derived
    derived_served
    ctr task kill -s SIGTERM derived
    is_stopped() { ctr task ls | grep -q STOPPED; }
    eventually is_stopped
    ctr task rm derived
    derived_ended "$(cat "$WORK/derived.log")"
    ctr container rm derived
}
real_case "python derived: ten thousand requests in containerd" derived_containerd
