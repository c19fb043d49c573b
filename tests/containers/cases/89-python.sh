# The curated image of Python 3.13, built from source: what its library needs is there, and processes differ.
PYTHON_IMAGE=vkernel/python:3.13

python_build() {
    [[ -n ${PYTHON_DIR:-} ]] || CALL_TIMEOUT=1500 polybuild_build "$ROOT/base-images/python/3.13/recipe.toml" "$WORK/python"
    verify "${PYTHON_DIR:-$WORK/python}/docker-archive.tar"
    docker load -i "${PYTHON_DIR:-$WORK/python}/docker-archive.tar"
}
real_case "python 3.13 build, verify and load" python_build

PYTHON_SCRIPT=$(cat <<'END'
import bz2, ctypes, curses, dbm.gnu, hashlib, lzma, os, platform, readline, socket, sqlite3, ssl, subprocess, sys
import threading, uuid, zlib, zoneinfo, datetime, multiprocessing, asyncio, decimal, xml.etree.ElementTree
print(sys.version_info[:2], sys.platform, platform.machine(), os.uname().machine)
print(ssl.OPENSSL_VERSION.split()[0], len(ssl.create_default_context().get_ca_certs()) > 100)
print(sqlite3.connect(":memory:").execute("select sum(value) from json_each('[1,2,3]')").fetchone())
for pack in (zlib, bz2, lzma):
    assert pack.decompress(pack.compress(b"x" * 100000)) == b"x" * 100000
print(hashlib.sha256(b"abc").hexdigest()[:16], hashlib.scrypt(b"p", salt=b"s", n=2, r=1, p=1).hex()[:8])
less = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
ctypes.CDLL(None).qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), less(lambda a, b: a[0] - b[0]))
print(list(numbers))
print(datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset())
print(subprocess.run([sys.executable, "-c", "import sys; print(sys.argv)", "a"], capture_output=True, text=True).stdout.strip())
found = []
workers = [threading.Thread(target=lambda n=n: found.append(n * n)) for n in range(4)]
[worker.start() for worker in workers], [worker.join() for worker in workers]
print(sorted(found))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, [-1, -2, 3]))
async def answer():
    await asyncio.sleep(0)
    return 42
print(asyncio.run(answer()), decimal.Decimal(1) / 7)
def deep(n=0):
    return deep(n + 1)
try:
    deep()
except RecursionError as error:
    print(error)
END
)
PYTHON_SAYS="(3, 13) linux wasm32 wasm32
OpenSSL True
(6,)
ba7816bf8f01cfea 48b0d2a8
[1, 2, 3, 4, 5]
2:00:00
['-c', 'a']
[0, 1, 4, 9]
[1, 2, 3]
42 0.1428571428571428571428571429
maximum recursion depth exceeded"

python_script() { equals "$("$@" python3 -c "$PYTHON_SCRIPT")" "$PYTHON_SAYS"; }
real_case "python 3.13 in docker" python_script in_docker "$PYTHON_IMAGE"
real_case "python 3.13 in docker, all confinements" python_script in_docker "${ALL[@]}" --tmpfs /tmp "$PYTHON_IMAGE"
real_case "python 3.13 in docker, as a user" python_script in_docker --user 12345 "$PYTHON_IMAGE"

python_podman() {
    podman load -i "${PYTHON_DIR:-$WORK/python}/oci-archive.tar"
    python_script in_podman "$PYTHON_IMAGE"
}
real_case "python 3.13 in podman" python_podman

# Two processes from one snapshot: other hash secrets, other random numbers, their own arguments and environment.
python_processes() {
    local say='import os, random, sys, uuid; print(hash("a"), random.random(), uuid.uuid4(), sys.argv, os.environ["X"])'
    local one two
    one=$(in_docker -e X=1 "$PYTHON_IMAGE" python3 -c "$say" one)
    two=$(in_docker -e X=2 "$PYTHON_IMAGE" python3 -c "$say" two)
    for word in 1 2 3; do
        [[ $(cut -d' ' -f$word <<<"$one") != $(cut -d' ' -f$word <<<"$two") ]]
    done
    equals "$(cut -d' ' -f4- <<<"$one") $(cut -d' ' -f4- <<<"$two")" "['-c', 'one'] 1 ['-c', 'two'] 2"
    equals "$(in_docker -e PYTHONHASHSEED=1 "$PYTHON_IMAGE" python3 -c 'print(hash("a"))')" \
        "$(in_docker -e PYTHONHASHSEED=1 "$PYTHON_IMAGE" python3 -c 'print(hash("a"))')"
}
real_case "python 3.13, two processes" python_processes

# The end of a container: what `finally` and `atexit` do is done.
python_end() {
    docker run -d --network none --name python-end "$PYTHON_IMAGE" python3 -uc '
import atexit, signal, sys, time
atexit.register(print, "atexit")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
try:
    print("ready")
    time.sleep(60)
finally:
    print("finally")'
    eventually python_is_ready
    docker stop -t 10 python-end
    equals "$(docker logs python-end | tr '\n' ' ')" "ready finally atexit "
    equals "$(docker inspect -f '{{.State.ExitCode}}' python-end)" 7
    docker rm python-end
}
python_is_ready() { docker logs python-end | grep -q ready; }
real_case "python 3.13 ends at SIGTERM" python_end
