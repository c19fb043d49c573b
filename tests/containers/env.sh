# Container engines of our own, for end-to-end tests: started in a temporary folder, stopped by
# process id, with nothing left behind. Sourced by `run`; needs root.
#
#   env_open                  makes $WORK and sets the trap that cleans up
#   start_containerd          containerd 1.6 with runc          -> ctr ...
#   start_dockerd             dockerd 20.10 on that containerd  -> docker ...
#   start_registry            docker-registry on loopback       -> $REGISTRY (host:port)
#   podman, buildah, skopeo   need no daemon
#
# Every client call has a time limit. Nothing outside $WORK is written, no global configuration is
# read, no network but loopback is used.

# Debian's client: another one earlier in PATH may be too new for this daemon.
DOCKER=${DOCKER:-/usr/bin/docker}
STORAGE_DRIVER_NAME=${STORAGE_DRIVER_NAME:-overlay}
CALL_TIMEOUT=${CALL_TIMEOUT:-90}

env_open() {
    REAL_HOME=$HOME
    # Short: unix socket paths hold 107 bytes.
    WORK=$(mktemp -d /tmp/vkc.XXXXXX) || return 1
    DAEMONS=() PROXIES=()
    trap env_close EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$WORK"/{home,tmp,log,run}
    export HOME=$WORK/home TMPDIR=$WORK/tmp XDG_RUNTIME_DIR=$WORK/run
    export PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH
    unset DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT CONTAINERD_ADDRESS REGISTRY_AUTH_FILE
    local name
    for name in http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY; do
        [[ -n ${!name:-} ]] && PROXIES+=("$name=${!name}")
        unset "$name"
    done
    podman_config
}

# --- daemons ---------------------------------------------------------------------------------

# daemon NAME COMMAND...: starts it, remembers its process id, logs to $WORK/log/NAME.log.
daemon() {
    local name=$1
    shift
    "$@" >"$WORK/log/$name.log" 2>&1 </dev/null &
    DAEMONS+=("$!")
    DAEMON_PID=$!
}

# until_ready NAME COMMAND...: waits up to 30 s for COMMAND to succeed while the daemon lives.
until_ready() {
    local name=$1
    shift
    for _ in $(seq 150); do
        "$@" >/dev/null 2>&1 && return 0
        kill -0 "$DAEMON_PID" 2>/dev/null || break
        sleep 0.2
    done
    echo "$name did not start; its log ends:" >&2
    tail -n 20 "$WORK/log/$name.log" >&2
    return 1
}

start_containerd() {
    local disabled='"io.containerd.grpc.v1.cri"' plugin
    for plugin in btrfs zfs devmapper aufs; do
        disabled+=", \"io.containerd.snapshotter.v1.$plugin\""
    done
    cat >"$WORK/containerd.toml" <<EOF
version = 2
root = "$WORK/ctd/root"
state = "$WORK/ctd/state"
disabled_plugins = [$disabled]
[grpc]
  address = "$WORK/c.sock"
[ttrpc]
  address = "$WORK/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "$WORK/ctd/opt"
EOF
    daemon containerd containerd --config "$WORK/containerd.toml"
    until_ready containerd ctr version
}

start_dockerd() {
    # No bridge and no packet filter rules: the tests need no network, and the host keeps its own.
    daemon dockerd dockerd \
        --data-root "$WORK/dk" --exec-root "$WORK/dke" --pidfile "$WORK/d.pid" \
        -H "unix://$WORK/d.sock" --containerd "$WORK/c.sock" \
        --storage-driver "${STORAGE_DRIVER_NAME/overlay/overlay2}" \
        --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false --bridge=none \
        --exec-opt native.cgroupdriver=cgroupfs
    until_ready dockerd docker version
}

start_registry() {
    local port
    for port in $(seq $((20000 + RANDOM % 10000)) 32000); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    REGISTRY=127.0.0.1:$port
    cat >"$WORK/registry.yml" <<EOF
version: 0.1
storage: {filesystem: {rootdirectory: "$WORK/registry"}}
http: {addr: "$REGISTRY"}
EOF
    daemon registry docker-registry serve "$WORK/registry.yml"
    until_ready registry eval "(exec 3<>/dev/tcp/127.0.0.1/$port)"
}

podman_config() {
    # default_ulimits: the defaults need CAP_SYS_RESOURCE, which CI containers lack.
    cat >"$WORK/containers.conf" <<'EOF'
[containers]
default_ulimits = ["nofile=1024:2048", "nproc=1024:2048"]
netns = "none"
cgroupns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
EOF
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$WORK/policy.json"
    echo 'unqualified-search-registries = []' >"$WORK/registries.conf"
    export CONTAINERS_CONF=$WORK/containers.conf
    export CONTAINERS_REGISTRIES_CONF=$WORK/registries.conf
}

# --- clients ---------------------------------------------------------------------------------

limited() { timeout -k 5 "$CALL_TIMEOUT" "$@"; }

ctr() { limited ctr -a "$WORK/c.sock" "$@"; }

docker() { limited "$DOCKER" -H "unix://$WORK/d.sock" "$@"; }

STORE=()
store() {
    STORE=(--storage-driver "$STORAGE_DRIVER_NAME" --root "$WORK/cs" --runroot "$WORK/csr")
}

podman() { store; limited podman "${STORE[@]}" --tmpdir "$WORK/pt" "$@"; }

buildah() { store; limited buildah "${STORE[@]}" "$@"; }

skopeo() { limited skopeo --policy "$WORK/policy.json" "$@"; }

# With the user's home, where the development key and the cache are.
polybuild() { HOME=$REAL_HOME limited "$POLYBUILD" "$@"; }

# Builds RECIPE in the folder OUTPUT; this, and nothing else here, may fetch sources.
polybuild_build() {
    local recipe=$1 output=$2
    shift 2
    HOME=$REAL_HOME TMPDIR=/tmp limited env "${PROXIES[@]}" \
        "$POLYBUILD" build --quiet --locked -o "$output" "$@" "$recipe"
}

# docker with a terminal of its own; what is piped in is typed. The terminal ends lines with CR LF.
docker_tty() {
    # In the foreground: another process group's reads from a terminal stop it.
    SHELL=/bin/bash script -qec "timeout --foreground -k 5 $CALL_TIMEOUT $(printf '%q ' \
        "$DOCKER" -H "unix://$WORK/d.sock" "$@")" /dev/null
}

# --- the end ---------------------------------------------------------------------------------

# Ends one process that we started: asks, waits up to 10 s, insists.
end_process() {
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$1" 2>/dev/null || return 0
        # A child that has ended stays until it is waited for.
        [[ $(ps -o stat= -p "$1") == Z* ]] && break
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

# Processes that belong to $WORK without being our children: shims and monitors, whose command line
# names it, and containers, whose mount namespace is not ours and has mounts from it.
strays() {
    local own pid
    own=$(readlink /proc/self/ns/mnt)
    for pid in /proc/[0-9]*; do
        pid=${pid#/proc/}
        [[ $pid == "$$" || $pid == "$BASHPID" ]] && continue
        if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$WORK/" ||
            { [[ $(readlink "/proc/$pid/ns/mnt" 2>/dev/null || echo "$own") != "$own" ]] &&
                grep -qsF "$WORK/" "/proc/$pid/mountinfo"; }; then
            echo "$pid"
        fi
    done
}

env_close() {
    local status=$? i pid
    trap - EXIT INT TERM
    set +e
    local containers
    containers=$([[ -S $WORK/d.sock ]] && docker ps -aq 2>/dev/null)
    # shellcheck disable=SC2086 # a list of identifiers
    [[ -n $containers ]] && docker rm -f $containers >/dev/null 2>&1
    for ((i = ${#DAEMONS[@]} - 1; i >= 0; i--)); do
        end_process "${DAEMONS[i]}"
    done
    for pid in $(strays); do
        kill -KILL "$pid" 2>/dev/null
    done
    awk -v at="$WORK/" 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mount; do umount -l "$mount"; done
    if [[ -n ${KEEP_WORK:-} ]]; then
        echo "kept: $WORK" >&2
    else
        rm -rf --one-file-system "$WORK"
    fi
    exit "$status"
}
