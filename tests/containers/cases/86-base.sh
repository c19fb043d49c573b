# The curated image of a shell and core tools.
BASE_IMAGE=vkernel/base:1.0

base_build() {
    [[ -n ${BASE_DIR:-} ]] || CALL_TIMEOUT=900 polybuild_build "$ROOT/base-images/base/1.0/recipe.toml" "$WORK/base"
    verify "${BASE_DIR:-$WORK/base}/docker-archive.tar"
    docker load -i "${BASE_DIR:-$WORK/base}/docker-archive.tar"
}
real_case "base build, verify and load" base_build

BASE_SCRIPT=$(cat <<'END'
printf 'b\na\n' | sort | (read x; echo $x; exit 3); echo $?
cat <<EOF
here $((1 + 2))
EOF
trap 'echo usr1' USR1; kill -USR1 $$
sleep 60 & kill $!; wait $!; echo $?
echo $(echo $(echo $(echo deep)))
mkdir -p /tmp/d/e; for i in 1 2 3; do echo "line $i" >/tmp/d/f$i; done
find /tmp/d -type f | sort | xargs cat | awk '{ s += $2 } END { print NR, s }'
cd /tmp; tar c d | (mkdir x; cd x; tar x; find . -type f | sort)
gzip -c d/f1 | gunzip | sha256sum | cut -c 1-16
diff d/f1 x/d/f1 && sed s/line/LINE/ d/f2 | tr A-Z a-z
grep -rl 'line 3' d; ls -l d | wc -l; dd if=/dev/zero bs=1k count=3 2>/dev/null | wc -c
trap 'echo end' EXIT
END
)
BASE_SAYS='a
3
here 3
usr1
143
deep
3 6
./d/f1
./d/f2
./d/f3
39d031a6c1c19635
line 2
d/f3
5
3072
end'

base_script() { equals "$("$@" sh -c "$BASE_SCRIPT")" "$BASE_SAYS"; }
real_case "base in docker" base_script in_docker "$BASE_IMAGE"
real_case "base in docker, all confinements" base_script in_docker "${ALL[@]}" --tmpfs /tmp "$BASE_IMAGE"

base_podman() {
    podman load -i "${BASE_DIR:-$WORK/base}/oci-archive.tar"
    base_script in_podman "$BASE_IMAGE"
}
real_case "base in podman" base_podman

# Job control, which a shell has at a terminal.
base_terminal() {
    local shown
    shown=$( (sleep 3; echo 'sleep 60 &'; sleep 1; echo 'kill %1; wait %1; echo status $?'; sleep 1
        echo 'sleep 60'; sleep 1; printf '\032'; sleep 1; echo 'jobs; kill %1; fg; echo then $?'
        sleep 1; echo 'exit 4'; sleep 1) |
        exits 4 docker_tty run --rm --network none -it "$BASE_IMAGE")
    contains "$shown" $'\nstatus 143\r'
    contains "$shown" "Stopped"
    contains "$shown" $'\nthen 143\r'
}
real_case "base in docker -it, job control" base_terminal

# Ten of them at once, each with pipelines: processes do not get into each other's way.
base_many() {
    local said
    # shellcheck disable=SC2016 # for the shell in the image
    said=$(in_docker "$BASE_IMAGE" sh -c '
        for n in 1 2 3 4 5 6 7 8 9 10; do
            (for m in 1 2 3 4 5; do seq 100 | sort -r | head -1; done | uniq -c | tr -s " ") &
        done; wait')
    equals "$(sort -u <<<"$said")" " 5 99"
    equals "$(wc -l <<<"$said")" 10
}
real_case "base in docker, many pipelines" base_many

# Without an engine: the folder, /proc and the devices are there, other processes are not.
base_run() {
    mkdir "$WORK/base-run" && cd "$WORK/base-run" && echo here >file
    run() { HOME=$REAL_HOME limited "$POLYBUILD" run "${BASE_DIR:-$WORK/base}" -- sh -c "$1"; }
    equals "$(run 'pwd; cat file; echo x >/dev/null; echo made >made; sleep 1 & wait; echo $?')" \
        $'/work\nhere\n0'
    equals "$(cat made)" made
    equals "$(run 'ps -o args | grep -v -e ps -e grep -e COMMAND -e "sh -c"')" ""
    equals "$(run 'ls /dev')" "$(printf '%s\n' fd full null ptmx pts random shm stderr stdin stdout tty urandom zero)"
    # As busybox natively: a number that fits into no integer is not taken for one.
    equals "$(run "awk 'BEGIN { print 1e20, 2^63, 3e9 }'")" "1e+20 9.22337e+18 3000000000"
    exits 3 run 'exit 3'
    fails grep -q "$WORK/base-run" /proc/mounts
}
real_case "base by polybuild run" base_run

# A small project, made in parallel; the second time there is nothing to do, a changed file is noticed.
BASE_MAKE=$(cat <<'END'
mkdir /tmp/project; cd /tmp/project
cat >Makefile <<'MAKEFILE'
parts := $(patsubst %.in,%.out,$(wildcard *.in))
total: $(parts) ; @cat $(sort $^) >$@; echo total of $(words $^)
%.out: %.in ; @tr a-z A-Z <$< >$@; echo made $@ >>log
version := $(shell echo 1.0 | tr . _)
clean: ; rm -f *.out total log; echo clean $(version)
fail: ; @exit 3
.PHONY: clean fail
MAKEFILE
for name in a b c d e f; do echo "part $name" >$name.in; done
make -s -j2; sort log; cat total
make; touch -d '2100-01-01' c.in; make -n 2>&1 | grep -c 'made c.out'
make fail; echo status $?
make clean | tail -1; ls
END
)
BASE_MADE="total of 6
made a.out
made b.out
made c.out
made d.out
made e.out
made f.out
PART A
PART B
PART C
PART D
PART E
PART F
make: 'total' is up to date.
1
make: *** [Makefile:6: fail] Error 3
status 2
clean 1_0
Makefile
a.in
b.in
c.in
d.in
e.in
f.in"
base_make() { equals "$(in_docker "$BASE_IMAGE" sh -c "exec 2>&1; $BASE_MAKE")" "$BASE_MADE"; }
real_case "base in docker, make -j2" base_make

# A repository with a history of two branches, a clone of it, and a push back.
BASE_GIT=$(cat <<'END'
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --global user.name 'A Name'; git config --global user.email a@name.invalid
git config --global init.defaultBranch main
mkdir /tmp/here; cd /tmp/here; git init
seq 100 >numbers; mkdir sub; echo text >sub/file; git add .; git commit -q -m first
git checkout -q -b other; sed -i 's/^50$/fifty/' numbers; git commit -q -a -m second
git checkout -q main; echo more >>sub/file; git commit -q -a -m third
git merge -q -m merged other; git log --graph --format='%h %s' --stat
git diff HEAD~1 | head -12; git status --short; git fsck --full
git clone -q /tmp/here /tmp/there; cd /tmp/there; git checkout -q -b back; echo x >x; git add x
git commit -q -m fourth; git push -q origin back 2>&1; cd /tmp/here; git log -1 --format='%an %ad %s' back
git gc -q; git show back:sub/file; git grep -n fifty; git stash list | wc -l
git blame -L 50,50 numbers; git tag -a -m note v1; git describe
echo $(git rev-parse HEAD back v1)
END
)
# Identities of commits are digests of all that is in them: Debian's own git gives these.
BASE_GOT="5798997a86932dc5128145ae7c2b71e22d683fe5 ce980a4299330239b36411b7609cd990fed39b3b bba5d050730f9901d5007e9489d7edbe30524512"
base_git() {
    local said
    said=$(in_docker "$BASE_IMAGE" sh -c "exec 2>&1; $BASE_GIT")
    echo "$said"
    fails grep -E '^(fatal|error|warning)' <<<"$said"
    contains "$said" 'Initialized empty Git repository in /tmp/here/.git/'
    contains "$said" 'A Name Tue Nov 14 22:13:20 2023 +0000 fourth'
    contains "$said" 'numbers:50:fifty'
    equals "$(tail -n 1 <<<"$said")" "$BASE_GOT"
}
real_case "base in docker, git" base_git

# git's commands that are shell scripts, what a new repository begins with, and a hook: a submodule that is
# added, cloned and brought up to date, a request to pull, a history written anew.
BASE_GIT_SCRIPTS=$(cat <<'END'
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --global user.name 'A Name'; git config --global user.email a@name.invalid
git config --global init.defaultBranch main; git config --global protocol.file.allow always
mkdir /tmp/part; cd /tmp/part; git init -q; echo part >part; git add .; git commit -q -m part
mkdir /tmp/whole; cd /tmp/whole; git init -q; ls .git; ls .git/hooks | wc -l
git submodule --quiet add /tmp/part lib/part; git commit -q -m 'with a part'; cat .gitmodules
git submodule status | cut -c 1-20,42-; git submodule foreach 'cat part'
git clone -q --recurse-submodules /tmp/whole /tmp/copy; cat /tmp/copy/lib/part/part
echo 1 >/tmp/part/part; git -C /tmp/part commit -q -a -m changed
cd /tmp/copy; git submodule --quiet update --remote; git status --short; cat lib/part/part
cd /tmp/whole; git checkout -q -b other; echo x >x; git add x; git commit -q -m 'a file'
git request-pull main /tmp/whole other | sed -n 's/^  a/a/p; $p'
export FILTER_BRANCH_SQUELCH_WARNING=1
git filter-branch -f --msg-filter 'tr a-z A-Z' main..other 2>&1 | tail -1; git log -2 --format=%s
cat >.git/hooks/commit-msg <<'HOOK'
#!/bin/sh
grep -q 'line' "$1" || { echo "refused: $(cat "$1")" >&2; exit 1; }
HOOK
chmod +x .git/hooks/commit-msg; echo y >x; git commit -q -a -m nothing; echo $?; git commit -q -a -m 'a line'; echo $?
END
)
# What Debian's git of the same version prints.
BASE_GIT_SCRIPTED=$(cat <<'END'
HEAD
branches
config
description
hooks
info
objects
refs
14
[submodule "lib/part"]
	path = lib/part
	url = /tmp/part
 1212626fcc67350a435 lib/part (heads/main)
Entering 'lib/part'
part
part
From /tmp/part
   1212626..d107819  main       -> origin/main
 M lib/part
1
a file (2023-11-14 22:13:20 +0000)
 create mode 100644 x
Ref 'refs/heads/other' was rewritten
A FILE
with a part
refused: nothing
1
0
END
)
base_git_scripts() {
    equals "$(in_docker "$BASE_IMAGE" sh -c "exec 2>&1; $BASE_GIT_SCRIPTS")" "$BASE_GIT_SCRIPTED"
}
real_case "base in docker, git's scripts" base_git_scripts

# Patterns of the shells: a backslash in brackets quotes what follows (POSIX, XCU 2.13.1), in `case`, in
# parameters and in names of files. Debian's dash and bash print the same.
BASE_PATTERNS=$(cat <<'END'
for word in - b ']'; do
    case $word in
    [a\-z\]]) echo "$word: one of a, -, z, ]" ;;
    *) echo "$word: not" ;;
    esac
done
name=my-app; echo "${name%%[!a-z\-]*}"; name=a]b; echo "${name#*[x\]]}"
case 5 in [[:digit:]]) echo digit ;; esac; case '\' in [\\]) echo backslash ;; esac
mkdir /tmp/p; cd /tmp/p; touch a ./- b ']'; echo [a\-z]; echo [\]]; echo ?
END
)
BASE_MATCHED="-: one of a, -, z, ]
b: not
]: one of a, -, z, ]
my-app
b
digit
backslash
- a
]
- ] a b"
base_patterns() {
    local shell
    for shell in sh dash bash; do
        equals "$(LC_ALL=C in_docker "$BASE_IMAGE" "$shell" -c "$BASE_PATTERNS")" "$BASE_MATCHED"
    done
}
real_case "base in docker, patterns" base_patterns

# What bash has and the other shell has not.
BASE_BASH=$(cat <<'END'
set -e -o pipefail
shopt -s extglob
declare -A of=([one]=1 [two]=2); all=(c a b "d e")
echo "${#all[@]} ${all[@]: -1} ${of[two]} ${all[*]/a/A}"
[[ key=value42 =~ ^([a-z]+)=([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[@]:1}"
mapfile -t sorted < <(printf '%s\n' "${all[@]}" | sort -r); echo "${sorted[0]}"
diff <(echo same) <(echo same) && cat <<<"here ${sorted[-1]@Q}"
printf -v padded '%05d|%-4s|%q' 42 ab 'a b'; echo "$padded"
for ((n = 0, sum = 0; n < 1000; n++)); do ((sum += n)) || true; done; echo $sum $((2 ** 40)) $((16#ff))
f() { local IFS=, x=("$@"); trap 'echo returned' RETURN; echo "${x[*]}"; return 3; }
f 1 2 3 || echo status $?
case file.tar.gz in *.@(zip|tar.gz)) echo archive ;; esac
coproc tr a-z A-Z; echo co >&${COPROC[1]}; exec {COPROC[1]}>&-; cat <&${COPROC[0]}; wait $COPROC_PID
(sleep 0.1; exit 4) & wait $! || echo waited $?
trap 'echo usr1' USR1; kill -USR1 $BASHPID
echo {a..c}{1,2} ${padded^^} ${padded:2:3}
(set -u; unset nothing; echo $nothing) 2>&1 | sed 's/.*: nothing/nothing/' || echo failed
trap 'echo end $?' EXIT
false
echo not here
END
)
BASE_BASHED="4 d e 2 c A b d e
key value 42
d e
here 'a'
00042|ab  |a\\ b
499500 1099511627776 255
1,2,3
returned
status 3
archive
CO
waited 4
usr1
a1 a2 b1 b2 c1 c2 00042|AB |A\\ B 042
nothing: unbound variable
failed
end 1"
base_bash() { equals "$(in_docker "$BASE_IMAGE" sh -c 'bash -c "$1" || true' sh "$BASE_BASH")" "$BASE_BASHED"; }
real_case "base in docker, bash" base_bash

# Line editing, with the terminal's description: the second line is the first, changed.
base_bash_terminal() {
    local shown
    shown=$( (sleep 3; printf 'echo one two\r'; sleep 1; printf '\033[A\001\033f\033f\033d three\r'; sleep 1
        printf 'sleep 60\r'; sleep 1; printf '\032'; sleep 1; printf 'jobs; kill %%1; fg; echo then $?\r'
        sleep 1; printf 'exit 4\r'; sleep 1) |
        exits 4 docker_tty run --rm --network none -it -e TERM=xterm "$BASE_IMAGE" bash)
    contains "$shown" $'\rone two\r'
    contains "$shown" $'\rone three\r'
    contains "$shown" "Stopped"
    contains "$shown" $'\nthen 143\r'
}
real_case "base in docker -it, bash edits lines" base_bash_terminal

# A server of one answer, in the same container.
base_curl() {
    # shellcheck disable=SC2016 # for the shell in the image
    equals "$(in_docker "$BASE_IMAGE" bash -c '
        printf "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n" | nc -l -p 8080 >/tmp/asked & sleep 0.5
        curl -sS -w "%{http_code}\n" http://localhost:8080/path; head -1 /tmp/asked | tr -d "\r"
        curl -sS file:///etc/group | head -1; curl -sS https://localhost/ 2>/dev/null; echo $?; curl --version | grep -o -w https')" \
        $'hello\n200\nGET /path HTTP/1.1\nroot:x:0:\n7\nhttps'
}
real_case "base in docker, curl" base_curl
