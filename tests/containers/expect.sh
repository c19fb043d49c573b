# Cases and what they may expect. A case is a function; it fails when a command in it fails.

# run_case NAME FUNCTION [ARGUMENTS]
run_case() {
    local name=$1 log status
    shift
    # shellcheck disable=SC2053 # a pattern
    [[ $name == $ONLY ]] || return 0
    log=$WORK/log/case-${name//[^a-z0-9]/-}.log
    # Not in a condition: there `set -e` would not work.
    (
        set -eEuo pipefail
        shopt -s inherit_errexit
        trap 'echo "failed at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
        cd "$WORK/context"
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    if [[ $status == 0 ]]; then
        PASSED=$((PASSED + 1))
        echo "ok $name"
    else
        FAILED=$((FAILED + 1))
        echo "FAIL $name"
        sed 's/^/    /' "$log" | tail -n 40
    fi
}

# real_case NAME FUNCTION [ARGUMENTS]: a case that the stand-in image cannot play.
real_case() {
    [[ -z $STANDIN ]] || return 0
    run_case "$@"
}

# start NAME FUNCTION: a daemon, as a case; not in a subshell, for it must outlive the case.
start() {
    local log=$WORK/log/start-$1.log
    if "$2" >"$log" 2>&1; then
        PASSED=$((PASSED + 1))
        echo "ok $1 starts"
    else
        FAILED=$((FAILED + 1))
        echo "FAIL $1 starts"
        sed 's/^/    /' "$log"
    fi
}

# contains TEXT PART
contains() {
    [[ $1 == *"$2"* ]] && return 0
    printf 'expected in the output: %s\noutput: %s\n' "$2" "$1" >&2
    return 1
}

# equals ACTUAL EXPECTED
equals() {
    [[ $1 == "$2" ]] && return 0
    printf 'expected: %s\nfound:    %s\n' "$2" "$1" >&2
    return 1
}

# exits STATUS COMMAND...: its output, both streams, is printed.
exits() {
    local expected=$1 status=0
    shift
    "$@" 2>&1 || status=$?
    [[ $status == "$expected" ]] && return 0
    echo "expected status $expected, found $status: $*" >&2
    return 1
}

# exits_with STATUS PART COMMAND...: the status, and a part of the output.
exits_with() {
    local expected=$1 part=$2 output
    shift 2
    output=$(exits "$expected" "$@") || { echo "$output" >&2; return 1; }
    contains "$output" "$part"
}

# refused_with PART COMMAND...: status 126 and a message.
refused_with() { exits_with 126 "$@"; }

# fails COMMAND...: any status but 0. (`! COMMAND` would not end a case: `set -e` overlooks it.)
fails() {
    "$@" || return 0
    echo "expected to fail: $*" >&2
    return 1
}

# eventually COMMAND...: within 20 s.
eventually() {
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "never came true: $*" >&2
    return 1
}

# seconds_of COMMAND...: whole seconds and hundredths that it took, on stdout.
seconds_of() {
    local from to
    from=$(date +%s%N)
    "$@" >&2
    to=$(date +%s%N)
    printf '%d.%02d\n' $(((to - from) / 1000000000)) $(((to - from) / 10000000 % 100))
}

# at_most SECONDS LIMIT
at_most() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }' && return 0
    echo "took $1 s, expected at most $2 s" >&2
    return 1
}
