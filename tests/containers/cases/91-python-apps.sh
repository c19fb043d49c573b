# Apps in Python as people write them: a service in Flask, one in FastAPI, a site in Django, a script that shells out, a
# report by numpy.
# Ports are the host's: these tests have no bridge.

# app_image NAME: builds an example, unless DIR says where it is built, and loads it.
app_image() {
    local name=$1 folder=$WORK/$1
    if [[ -n ${EXAMPLES_DIR:-} ]]; then folder=$EXAMPLES_DIR/$name; fi
    [[ -e $folder/docker-archive.tar ]] || CALL_TIMEOUT=1500 polybuild_build "$ROOT/recipes/examples/$name/recipe.toml" "$folder"
    verify "$folder/docker-archive.tar"
    docker load -i "$folder/docker-archive.tar"
}

# get PORT PATH [CURL'S OPTION...]
get() { curl -sS -m 20 "http://127.0.0.1:$1$2" "${@:3}"; }
answers() { get "$1" "$2" -o "$WORK/answer" && [[ -s $WORK/answer ]]; }

# ends_well NAME WORD...: SIGTERM ends the container with 0, or $ENDS, and its log has the words.
ends_well() {
    local name=$1 word log
    docker stop -t 20 "$name"
    log=$(docker logs "$name" 2>&1)
    for word in "${@:2}"; do contains "$log" "$word"; done
    equals "$(docker inspect -f '{{.State.ExitCode}}' "$name")" "${ENDS:-0}"
    docker rm "$name"
}

FLASK_PORT=18401
flask_service() {
    app_image flask
    docker run -d --network host --name flask --entrypoint python3 example/flask:1.0.0 \
        -m gunicorn "--bind=127.0.0.1:$FLASK_PORT" --workers=3 service:app
    eventually answers $FLASK_PORT /
    equals "$(get $FLASK_PORT '/?name=<b>')" '<p>Hello, &lt;b&gt;!</p>'
    equals "$(get $FLASK_PORT /fib/100)" '{"n":100,"value":"354224848179261915075"}'
    equals "$(get $FLASK_PORT /echo --json '{"a":[1,2.5,null,"é"]}' | python3 -m json.tool --compact)" \
        "$(python3 -m json.tool --compact <<<'{"a":[1,2.5,null,"é"]}')"
    equals "$(get $FLASK_PORT /echo -d 'no json' -H 'Content-Type: application/json' -o /dev/null -w '%{http_code}')" 400
    # Several processes answer, and a request that runs when the end comes is answered.
    local pids
    pids=$(for _ in {1..40}; do get $FLASK_PORT /worker; done | sort -u | wc -l)
    ((pids > 1))
    get $FLASK_PORT /slow >"$WORK/slow" &
    local slow=$!
    sleep 1
    ends_well flask "Handling signal: term" "service: goodbye" "Shutting down: Master"
    wait "$slow"
    equals "$(cat "$WORK/slow")" slept
}
real_case "python apps: flask and gunicorn" flask_service

FASTAPI_PORT=18402
fastapi_service() {
    app_image fastapi
    docker run -d --network host --name fastapi --entrypoint python3 example/fastapi:1.0.0 \
        -m uvicorn service:app --host=127.0.0.1 "--port=$FASTAPI_PORT"
    eventually answers $FASTAPI_PORT /total
    equals "$(get $FASTAPI_PORT /items/bolt -X PUT --json '{"price": "0.25", "tags": ["steel"]}')" \
        '{"price":"0.25","tags":["steel"]}'
    equals "$(get $FASTAPI_PORT /items/nut -X PUT --json '{"price": 1}')" '{"price":"1","tags":[]}'
    equals "$(get $FASTAPI_PORT /total)" '{"total":"1.25"}'
    equals "$(get $FASTAPI_PORT /items/no)" '{"detail":"there is no item no"}'
    local refused
    refused=$(get $FASTAPI_PORT /items/x -X PUT --json '{"price": -1, "tags": 3}')
    contains "$refused" '"type":"greater_than"'
    contains "$refused" '"type":"list_type"'
    contains "$(get $FASTAPI_PORT /openapi.json)" '"title":"Items"'
    # When it has shut down, uvicorn sends itself the signal that it got. (Natively that does not end the first process
    # of a container, and the status is 0.)
    ENDS=143 ends_well fastapi "service: goodbye" "Finished server process"
}
# By hand, or where it is built already: its extension in Rust needs Rust's standard library compiled first.
if [[ -n ${SLOW:-}${EXAMPLES_DIR:-} ]]; then
    real_case "python apps: fastapi and uvicorn" fastapi_service
fi

DJANGO_PORT=18403
django_site() {
    app_image django
    mkdir -p "$WORK/notes" && chmod 777 "$WORK/notes" && chmod a+x "$WORK"
    local start=(docker run -d --network host --name django -v "$WORK/notes:/data" -e "PORT=$DJANGO_PORT" -e WORKERS=2
        example/django:1.0.0)
    "${start[@]}"
    eventually answers $DJANGO_PORT /
    equals "$(get $DJANGO_PORT / --data-urlencode 'text=milk & <bread>' -o /dev/null -w '%{http_code}')" 302
    equals "$(get $DJANGO_PORT / -d 'text=' -o /dev/null -w '%{http_code}')" 400
    contains "$(get $DJANGO_PORT /admin/ -L)" "Django administration"
    # Processes write to one database at a time, and nothing is lost.
    local n writers=()
    for n in {1..20}; do
        get $DJANGO_PORT / -d "text=note-$n" -o /dev/null &
        writers+=($!)
    done
    wait "${writers[@]}"
    ends_well django "Shutting down: Master"
    # What was written is there for the next container.
    "${start[@]}"
    eventually answers $DJANGO_PORT /
    contains "$(get $DJANGO_PORT /)" "<li>milk &amp; &lt;bread&gt;</li>"
    equals "$(get $DJANGO_PORT / | grep -o 'note-[0-9]*' | sort -u | wc -l)" 20
    ends_well django "Shutting down: Master"
}
real_case "python apps: django and sqlite" django_site

agent_script() {
    app_image agent
    local wishes='{"run": "seq 3 | tac"}
{"run": "echo no >&2; exit 3"}
{"run": "sleep 60", "timeout": 1}
{"run": "pwd; echo kept > x; cat x; python3 -c \"print(6 * 7)\""}
{"run": "cp /bin/cat ./mine; echo x >> ./mine; chmod +x mine; ./mine x"}
{"ran": 1}'
    local said
    said=$(docker run -i --rm --network none --tmpfs /tmp example/agent:1.0.0 <<<"$wishes")
    equals "$(head -n 4 <<<"$said")" '{"status": 0, "stdout": "3\n2\n1\n", "stderr": ""}
{"status": 3, "stdout": "", "stderr": "no\n"}
{"status": null, "problem": "ended after 1.0 s", "stdout": "", "stderr": ""}
{"status": 0, "stdout": "/workspace\nkept\n42\n", "stderr": ""}'
    # No program that the image does not have, however it came there.
    contains "$(sed -n 5p <<<"$said")" '"status": 12'
    contains "$(sed -n 6p <<<"$said")" "not understood: KeyError('run')"
}
real_case "python apps: a script that shells out" agent_script

numpy_report() {
    app_image report-numpy
    local said
    said=$(docker run --rm --network none example/report-numpy:1.0.0)
    equals "$said" "100 lines, hour from 0 to 99
               mean      std      min   median      max    trend   period
tide         -0.000    1.061   -1.497   -0.000    1.497   -0.004   12.500
wind          5.009    1.472    2.540    4.934    7.334   -0.021   50.000
level         4.101    1.082    2.219    4.083    5.960   -0.006   12.500
correlation
tide          1.000   -0.028    0.965
wind         -0.028    1.000    0.227
level         0.965    0.227    1.000
level is about 3.163 + 0.992 tide + 0.187 wind"
    said=$(docker run -i --rm --network none example/report-numpy:1.0.0 - < <(echo t,x; for n in {0..9}; do echo "$n,$((n * n))"; done))
    contains "$said" "10 lines, t from 0 to 9"
    exits_with 1 "there are 1 lines, and a trend takes 8" \
        docker run -i --rm --network none example/report-numpy:1.0.0 - < <(printf 'a,b\n1,2\n')
}
real_case "python apps: a report by numpy" numpy_report
