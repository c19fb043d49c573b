# The curated image of nginx: master and workers, reload and stop without a lost connection.
NGINX_IMAGE=vkernel/nginx:1.26.3

nginx_build() {
    [[ -n ${NGINX_DIR:-} ]] || CALL_TIMEOUT=900 polybuild_build "$ROOT/base-images/nginx/1.26.3/recipe.toml" "$WORK/nginx"
    verify "${NGINX_DIR:-$WORK/nginx}/docker-archive.tar"
    docker load -i "${NGINX_DIR:-$WORK/nginx}/docker-archive.tar"
}
real_case "nginx build, verify and load" nginx_build

# Sites, in a folder of the host: plain and compressed files, rewriting, a proxy, counters shared by
# the workers. The port is the host's: these tests have no bridge.
NGINX_PORT=18391
nginx_sites() {
    mkdir -p "$WORK/nginx-conf" "$WORK/nginx-html"
    # The image's own, with two workers whatever the machine has.
    awk '/^text = """/ { on++; next } /^"""/ && on == 1 { exit } on == 1' \
        "$ROOT/base-images/nginx/1.26.3/recipe.toml" | sed 's/processes auto/processes 2/' >"$WORK/nginx.conf"
    contains "$(cat "$WORK/nginx.conf")" "worker_processes 2;"
    cat >"$WORK/nginx-conf/default.conf" <<END
server {
    listen 127.0.0.1:$NGINX_PORT reuseport;
    root /html;
    location = /small { default_type text/plain; return 200 "$(printf 'x%.0s' {1..200})"; }
    location ~ ^/by-name/(?<name>[a-z]+)\$ { rewrite ^ /\$name.txt last; }
    location /old/ { rewrite ^/old/(.*)\$ /\$1 permanent; }
    location /packed/ { gzip on; gzip_min_length 1; gzip_types *; alias /html/; }
    location /proxy/ { proxy_pass http://127.0.0.1:$NGINX_PORT/; }
    location = /status { stub_status; }
}
END
    seq 5000 >"$WORK/nginx-html/numbers.txt"
    head -c 10000000 /dev/urandom >"$WORK/nginx-html/large"
    chmod -R a+rX "$WORK"/nginx-{conf,html} && chmod a+x "$WORK"
}
real_case "nginx sites" nginx_sites

# nginx_start NAME OPTION...: a server with two workers, until it answers.
nginx_start() {
    local name=$1
    shift
    docker run -d --network host --name "$name" "$@" -v "$WORK/nginx-conf:/etc/nginx/conf.d:ro" \
        -v "$WORK/nginx.conf:/etc/nginx/nginx.conf:ro" \
        -v "$WORK/nginx-html:/html:ro" "$NGINX_IMAGE"
    eventually get /small || { docker logs "$name"; return 1; }
}
get() { limited curl -sS --fail --noproxy '*' "${@:2}" "http://127.0.0.1:$NGINX_PORT$1"; }

nginx_answers() {
    nginx_start nginx-answers "$@"
    equals "$(get /small | wc -c)" 200
    equals "$(get /by-name/numbers | sha256sum)" "$(sha256sum <"$WORK/nginx-html/numbers.txt")"
    equals "$(get /proxy/large | sha256sum)" "$(sha256sum <"$WORK/nginx-html/large")"
    contains "$(get /packed/numbers.txt -i -H 'Accept-Encoding: gzip' | head -c 400 | strings)" \
        "Content-Encoding: gzip"
    equals "$(get /packed/numbers.txt -H 'Accept-Encoding: gzip' | gunzip | sha256sum)" \
        "$(sha256sum <"$WORK/nginx-html/numbers.txt")"
    equals "$(get /large -r 4000000-4999999 | sha256sum)" \
        "$(tail -c +4000001 "$WORK/nginx-html/large" | head -c 1000000 | sha256sum)"
    contains "$(get /old/numbers.txt -i)" "301 Moved Permanently"
    exits_with 22 404 get /nothing
    contains "$(docker logs nginx-answers 2>&1)" '"GET /nothing HTTP/1.1" 404'
    contains "$(docker logs nginx-answers 2>&1)" 'open() "/html/nothing" failed (2: No such file or directory)'
    docker rm -f nginx-answers
}
real_case "nginx in docker" nginx_answers

# Ten thousand requests without one error, counted by the workers together; then one request of ten
# megabytes, slowly read, goes on while SIGHUP brings new workers, and while SIGQUIT ends the server.
nginx_signals() {
    local said slow
    nginx_start nginx-signals
    said=$(limited wrk -t2 -c50 -d8s "http://127.0.0.1:$NGINX_PORT/numbers.txt")
    echo "$said"
    fails grep -E 'Socket errors|Non-2xx' <<<"$said"
    [[ $(awk '/requests in/ { print $1 }' <<<"$said") -ge 10000 ]]
    contains "$(get /status)" "Active connections: 1"
    workers() { docker top nginx-signals -o pid | sed 1,2d | sort; }
    equals "$(workers | wc -l)" 2
    local before
    before=$(workers)
    get /large --limit-rate 4M -o large-1 & slow=$!
    limited wrk -t1 -c20 -d4s "http://127.0.0.1:$NGINX_PORT/small" >under-reload &
    sleep 1
    docker kill -s HUP nginx-signals
    reloaded() { [[ $(workers | wc -l) == 2 ]] && fails grep -qxF "$before" <<<"$(workers)"; }
    wait $!
    cat under-reload
    fails grep -E 'Socket errors: connect [^0]|Non-2xx' under-reload
    wait $slow
    cmp large-1 "$WORK/nginx-html/large"
    eventually reloaded
    get /large --limit-rate 5M -o large-2 & slow=$!
    sleep 0.5
    docker kill -s QUIT nginx-signals
    wait $slow
    cmp large-2 "$WORK/nginx-html/large"
    nginx_ended() { equals "$(docker inspect -f '{{.State.Running}} {{.State.ExitCode}}' nginx-signals)" "false 0"; }
    eventually nginx_ended
    docker rm nginx-signals
}
real_case "nginx in docker, reload and stop under load" nginx_signals

# A worker that dies is replaced.
nginx_worker_dies() {
    nginx_start nginx-worker
    local pid
    pid=$(docker top nginx-worker -o pid | tail -n 1)
    kill -KILL "$pid"
    replaced() { equals "$(docker top nginx-worker -o pid | sed 1d | grep -vwc "$pid")" 3; }
    eventually replaced
    get /small >&2
    contains "$(docker logs nginx-worker 2>&1)" "exited on signal 9"
    docker rm -f nginx-worker
}
real_case "nginx in docker, a worker dies" nginx_worker_dies

# No rights but those that a server needs that becomes another user.
real_case "nginx in docker, confined" nginx_answers --read-only --tmpfs /run --tmpfs /var/cache/nginx \
    --cap-drop ALL --cap-add SETUID --cap-add SETGID --cap-add CHOWN --cap-add DAC_OVERRIDE \
    --security-opt no-new-privileges

# The variant with a shell: sites from templates, by a user without rights, whose output is the container's.
NGINX_SHELL_IMAGE=vkernel/nginx:1.26.3-shell
nginx_shell_build() {
    [[ -n ${NGINX_SHELL_DIR:-} ]] ||
        CALL_TIMEOUT=900 polybuild_build "$ROOT/base-images/nginx/1.26.3-shell/recipe.toml" "$WORK/nginx-shell"
    verify "${NGINX_SHELL_DIR:-$WORK/nginx-shell}/docker-archive.tar"
    docker load -i "${NGINX_SHELL_DIR:-$WORK/nginx-shell}/docker-archive.tar"
    mkdir -p "$WORK/nginx-templates/more"
    cat >"$WORK/nginx-templates/default.conf.template" <<'END'
server {
    listen 127.0.0.1:${PORT};
    location = /small { default_type text/plain; return 200 "${ANSWER} $request_uri $ANSWER\n"; }
    location = /more { include conf.d/more/inner; }
}
END
    echo 'return 204;' >"$WORK/nginx-templates/more/inner.template"
    echo 'not a template' >"$WORK/nginx-templates/README"
    chmod -R a+rX "$WORK/nginx-templates" && chmod a+x "$WORK"
}
real_case "nginx with a shell, build, verify and load" nginx_shell_build

# nginx_shell CLIENT OPTION...: a container of the image with the templates, until it answers, and away again.
nginx_shell() {
    local client=$1
    shift
    "$client" run -d --network host --name nginx-shell -e PORT=$NGINX_PORT -e 'ANSWER=yes & \\1' \
        -v "$WORK/nginx-templates:/etc/nginx/templates:ro" "$@" "$NGINX_SHELL_IMAGE"
    eventually get /small || { "$client" logs nginx-shell; return 1; }
    equals "$(get /small)" 'yes & \1 /small yes & \1'
    equals "$(get /more -o /dev/null -w '%{http_code}')" 204
    exits_with 22 404 get /nothing
    contains "$("$client" logs nginx-shell 2>/dev/null)" '"GET /nothing HTTP/1.1" 404'
    contains "$("$client" logs nginx-shell 2>&1 >/dev/null)" 'open() "/usr/share/nginx/html/nothing" failed'
    contains "$("$client" logs nginx-shell 2>/dev/null)" 'default.conf.template becomes /etc/nginx/conf.d/default.conf'
    equals "$("$client" exec nginx-shell id -u)" 101
    equals "$("$client" exec nginx-shell sh -c 'cd /etc/nginx/conf.d && find . -type f | sort')" \
        $'./default.conf\n./more/inner'
    "$client" stop nginx-shell
    equals "$("$client" inspect -f '{{.State.ExitCode}}' nginx-shell)" 0
    "$client" rm nginx-shell
}
real_case "nginx with a shell in docker" nginx_shell docker
real_case "nginx with a shell in docker, confined" nginx_shell docker --cap-drop ALL \
    --security-opt no-new-privileges --read-only --tmpfs /tmp --tmpfs /etc/nginx/conf.d:uid=101

# The site that it has without templates, another command, and scripts of one's own.
nginx_shell_scripts() {
    docker run -d --network none --name nginx-default "$NGINX_SHELL_IMAGE"
    nginx_default_answers() {
        contains "$(docker exec nginx-default wget -q -O - http://127.0.0.1:8080/)" "Welcome to nginx!"
    }
    eventually nginx_default_answers
    docker rm -f nginx-default
    mkdir -p "$WORK/nginx-scripts"
    echo 'export GREETING=hello' >"$WORK/nginx-scripts/10-set.envsh"
    # shellcheck disable=SC2016 # for the shell in the image
    printf '#!/bin/sh\necho "$GREETING from a script"; exit 3\n' >"$WORK/nginx-scripts/15-say.sh"
    chmod -R a+rX "$WORK/nginx-scripts" && chmod a+x "$WORK/nginx-scripts/15-say.sh"
    # A script that fails keeps the server from starting.
    exits_with 3 "hello from a script" \
        in_docker -v "$WORK/nginx-scripts:/docker-entrypoint.d:ro" "$NGINX_SHELL_IMAGE"
    equals "$(in_docker "$NGINX_SHELL_IMAGE" sh -c 'echo $((6 * 7)); id -un')" $'42\nnginx'
    # shellcheck disable=SC2016 # for envsubst
    equals "$(in_docker -e A=1 "$NGINX_SHELL_IMAGE" sh -c 'echo "\$A \${B} \$C" | B=2 C=3 envsubst "\$A \$B"')" '1 2 $C'
    contains "$(in_docker "$NGINX_SHELL_IMAGE" envsubst --version)" "0.23.1"
}
real_case "nginx with a shell, scripts" nginx_shell_scripts

nginx_shell_podman() {
    podman load -i "${NGINX_SHELL_DIR:-$WORK/nginx-shell}/oci-archive.tar"
    nginx_shell podman --pull never
}
real_case "nginx with a shell in podman" nginx_shell_podman
