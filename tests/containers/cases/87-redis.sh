# The curated image of redis: it serves, saves by fork, and loses nothing that was acknowledged.
REDIS_IMAGE=vkernel/redis:8.0.2

redis_build() {
    [[ -n ${REDIS_DIR:-} ]] || CALL_TIMEOUT=900 polybuild_build "$ROOT/base-images/redis/8.0.2/recipe.toml" "$WORK/redis"
    verify "${REDIS_DIR:-$WORK/redis}/docker-archive.tar"
    docker load -i "${REDIS_DIR:-$WORK/redis}/docker-archive.tar"
}
real_case "redis build, verify and load" redis_build

# redis_start NAME OPTION... -- ARGUMENT...: a server in a container, until it answers.
redis_start() {
    local name=$1 options=()
    shift
    while [[ $1 != -- ]]; do options+=("$1"); shift; done
    shift
    docker run -d --network none --name "$name" "${options[@]}" "$REDIS_IMAGE" redis-server "$@"
    eventually redis_answers "$name"
}
redis_answers() { equals "$(docker exec "$1" redis-cli ping)" PONG; }

# Data types, expiry, scripts, transactions, publishing, the threads that free memory.
redis_commands() {
    redis_start redis-commands "$@" -- --save ''
    cli() { docker exec -i redis-commands redis-cli "$@"; }
    equals "$(cli <<'END'
SET text "a b"
GET text
SET number -9223372036854775807
DECR number
DECR number
APPEND text c
INCRBYFLOAT tenth 0.1
RPUSH list 1 two 3
LRANGE list 0 -1
HSET hash a 1 b 2
HGETALL hash
ZADD scores 1.5 x -3 y
ZRANGE scores 0 -1 WITHSCORES
SADD set 1 2 3
SINTERCARD 1 set
XADD stream 1-1 field value
XLEN stream
PFADD distinct a b c
PFCOUNT distinct
EVAL "return {KEYS[1], redis.call('get', KEYS[1]), 3.9, cjson.encode({1, 2})}" 1 text
MULTI
INCR counter
INCR counter
EXEC
SET short 1 PX 60
UNLINK list hash
WAIT 1 100
GET short
FLUSHALL ASYNC
DBSIZE
END
    )" 'OK
a b
OK
-9223372036854775808
ERR increment or decrement would overflow

4
0.1
3
1
two
3
2
a
1
b
2
2
y
-3
x
1.5
3
3
1-1
1
1
3
text
a bc
3
[1,2]
OK
QUEUED
QUEUED
1
2
OK
2
0

OK
0'
    docker rm -f redis-commands
}
real_case "redis in docker" redis_commands
real_case "redis in docker, all confinements" redis_commands "${ALL[@]}"

# A snapshot is a fork; SIGTERM saves and ends.
redis_saves() {
    docker volume create redis-data
    redis_start redis-saves -v redis-data:/data -- --save 3600 1
    docker exec -i redis-saves redis-cli >/dev/null < <(seq -f 'SET key:%g value' 2000)
    equals "$(docker exec redis-saves redis-cli BGSAVE)" "Background saving started"
    redis_saved() { contains "$(docker exec redis-saves redis-cli INFO persistence)" "rdb_saves:1"; }
    eventually redis_saved
    contains "$(docker exec redis-saves redis-cli INFO persistence)" "rdb_last_bgsave_status:ok"
    docker exec redis-saves redis-cli SET last yes
    at_most "$(seconds_of docker stop redis-saves)" 3
    equals "$(docker inspect -f '{{.State.ExitCode}}' redis-saves)" 0
    docker start redis-saves
    eventually redis_answers redis-saves
    equals "$(docker exec redis-saves redis-cli DBSIZE)" 2001
    equals "$(docker exec redis-saves redis-cli GET last)" yes
    docker rm -f redis-saves
    equals "$(docker run --rm --network none -v redis-data:/data "$REDIS_IMAGE" redis-check-rdb dump.rdb |
        grep -c 'RDB looks OK')" 1
    docker volume rm redis-data
}
real_case "redis in docker saves its data" redis_saves

# A server of 32 bits, with the limits that upstream gives such servers; a cluster keeps its slots.
redis_bits() {
    docker volume create redis-cluster
    redis_start redis-cluster -v redis-cluster:/data -- --cluster-enabled yes
    cli() { docker exec redis-cluster redis-cli "$@" | tr -d '\r'; }
    contains "$(cli INFO server)" "arch_bits:32"
    equals "$(cli CONFIG GET maxmemory | tail -n 1)" $((3 << 30))
    equals "$(cli CONFIG GET maxmemory-policy | tail -n 1)" noeviction
    contains "$(cli CONFIG SET client-query-buffer-limit 4gb)" "argument must be between"
    equals "$(cli CONFIG GET client-query-buffer-limit | tail -n 1)" $((1 << 30))
    equals "$(cli CLUSTER ADDSLOTSRANGE 0 5460 5462 16383)" OK
    contains "$(cli CLUSTER NODES)" "connected 0-5460 5462-16383"
    docker stop redis-cluster
    docker start redis-cluster
    eventually redis_answers redis-cluster
    contains "$(cli CLUSTER NODES)" "connected 0-5460 5462-16383"
    contains "$(cli CLUSTER INFO)" "cluster_slots_assigned:16383"
    docker rm -f redis-cluster
    docker volume rm redis-cluster
}
real_case "redis in docker, a cluster's slots and the limits of 32 bits" redis_bits

# kill -9 while a client writes: with `appendfsync always` every acknowledged write is there again.
redis_killed() {
    local acknowledged
    redis_start redis-killed -- --save '' --appendonly yes --appendfsync always
    (docker exec -i redis-killed redis-cli < <(yes 'INCR counter' | head -n 100000) || true) >acknowledged &
    sleep 1.5
    docker kill -s KILL redis-killed
    wait $! || true
    acknowledged=$(grep -E '^[0-9]+$' acknowledged | tail -n 1)
    echo "acknowledged: $acknowledged"
    [[ $acknowledged -ge 100 ]]
    docker start redis-killed
    eventually redis_answers redis-killed
    # One more may have been written without its answer having arrived.
    [[ $(docker exec redis-killed redis-cli GET counter) -ge $acknowledged ]]
    equals "$(docker exec redis-killed redis-cli BGREWRITEAOF)" \
        "Background append only file rewriting started"
    redis_rewritten() {
        contains "$(docker exec redis-killed redis-cli INFO persistence)" "aof_last_bgrewrite_status:ok"
        contains "$(docker exec redis-killed redis-cli INFO persistence)" "aof_rewrite_in_progress:0"
    }
    eventually redis_rewritten
    docker rm -f redis-killed
}
real_case "redis in docker keeps its data across kill -9" redis_killed

# The benchmark, with I/O threads and pipelines, is a load from many clients at once.
redis_load() {
    redis_start redis-load -- --save '' --io-threads 2
    contains "$(docker exec redis-load redis-benchmark -q -n 20000 -c 50 -P 16 -t set,get,lpush,mset)" \
        "LPUSH:"
    contains "$(docker exec redis-load redis-cli INFO clients)" "connected_clients:1"
    docker rm -f redis-load
}
real_case "redis in docker under load" redis_load

# What people bring: options alone, a configuration file, another program, a command line of the server.
redis_arguments() {
    docker run -d --network none --name redis-options "$REDIS_IMAGE" --save 60 1 --loglevel warning
    eventually redis_answers redis-options
    equals "$(docker exec redis-options redis-cli CONFIG GET save | tail -n 1)" "60 1"
    equals "$(docker exec redis-options redis-cli CONFIG GET loglevel | tail -n 1)" warning
    docker rm -f redis-options
    printf 'maxmemory 64mb\nsave ""\n' >"$WORK/own.conf" && chmod a+r "$WORK/own.conf"
    docker run -d --network none --name redis-file -v "$WORK/own.conf:/etc/own.conf:ro" \
        "$REDIS_IMAGE" /etc/own.conf --maxclients 77
    eventually redis_answers redis-file
    equals "$(docker exec redis-file redis-cli CONFIG GET maxmemory | tail -n 1)" 67108864
    equals "$(docker exec redis-file redis-cli CONFIG GET maxclients | tail -n 1)" 77
    docker rm -f redis-file
    contains "$(in_docker "$REDIS_IMAGE" redis-cli --version)" "redis-cli 8.0.2"
    contains "$(in_docker "$REDIS_IMAGE" --version)" "Redis server v=8.0.2"
    contains "$(in_docker "$REDIS_IMAGE" redis-benchmark --version)" "redis-benchmark 8.0.2"
    exits_with 127 "cannot execute no-such-program: No such file" in_docker "$REDIS_IMAGE" no-such-program
}
real_case "redis in docker, arguments" redis_arguments

# The server is the user redis, and its files are for that user alone; a folder that was root's is taken over,
# but what a link in it leads to is not. Another user that the container names stays.
redis_user() {
    local data=$WORK/redis-owned
    uid() { docker top "$1" -o pid,uid | awk 'END { print $2 }'; }
    mkdir -p "$data/appendonlydir" && touch "$data/old" "$data/appendonlydir/file" "$WORK/not-data"
    ln -s /etc/passwd "$data/link"
    ln "$WORK/not-data" "$data/second-name"
    docker run -d --network none --name redis-user -v "$data:/data" "$REDIS_IMAGE" --appendonly yes
    eventually redis_answers redis-user
    equals "$(uid redis-user)" 999
    equals "$(stat -c %u:%g "$data" "$data/old" "$data/appendonlydir/file" "$data/link" | sort -u)" 999:999
    equals "$(stat -c %u:%g "$WORK/not-data" /etc/passwd | sort -u)" 0:0
    docker exec redis-user redis-cli SET a b
    docker exec redis-user redis-cli SAVE
    equals "$(stat -c '%u %a' "$data/dump.rdb")" "999 600"
    docker rm -f redis-user
    # A volume has the image's owner; nothing has to be changed for a user that is named.
    docker run -d --network none --user 999:999 --name redis-user -v redis-owned:/data "$REDIS_IMAGE" --save 3600 1
    eventually redis_answers redis-user
    equals "$(docker exec redis-user redis-cli SAVE)" OK
    docker rm -f redis-user
    docker volume rm redis-owned
    # Without the rights to change owner and user, it says so.
    docker run -d --network none --cap-drop ALL --name redis-user "$REDIS_IMAGE" --save ""
    eventually redis_answers redis-user
    contains "$(docker logs redis-user 2>&1)" "the server runs as root, because the container may not change its user"
    docker rm -f redis-user
    rm -rf "$data"
}
real_case "redis in docker, users" redis_user

redis_podman() {
    podman load -i "${REDIS_DIR:-$WORK/redis}/oci-archive.tar"
    podman run -d --pull never --network none --name redis-podman "$REDIS_IMAGE"
    redis_podman_answers() { equals "$(podman exec redis-podman redis-cli ping)" PONG; }
    eventually redis_podman_answers
    podman stop redis-podman
    equals "$(podman inspect -f '{{.State.ExitCode}}' redis-podman)" 0
    podman rm redis-podman
    podman run -d --pull never --network none --name redis-podman "$REDIS_IMAGE" --save 60 1 --loglevel warning
    eventually redis_podman_answers
    equals "$(podman exec redis-podman redis-cli CONFIG GET save | tail -n 1)" "60 1"
    equals "$(podman top redis-podman huser | tail -n 1 | tr -d ' ')" 999
    podman rm -f redis-podman
}
real_case "redis in podman" redis_podman
