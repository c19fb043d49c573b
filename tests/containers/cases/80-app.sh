# An app recipe's image: its files in the megabinary, its policy (a read-only root) in the index.
APP=example/report:1.0.0
REPORT=$'Inventory\nbolt           0.25\ngearbox      129.90\nwasher         0.05\ntotal        130.20'

app_build() {
    [[ -n ${APP_DIR:-} ]] || polybuild_build "$ROOT/recipes/examples/report/recipe.toml" "$WORK/app"
    local form
    for form in oci-layout oci-archive.tar docker-archive.tar; do
        verify "${APP_DIR:-$WORK/app}/$form"
    done
}
real_case "app build and verify" app_build

app_docker() {
    docker load -i "${APP_DIR:-$WORK/app}/docker-archive.tar"
    equals "$(in_docker "$APP")" "$REPORT"
    equals "$(in_docker "${ALL[@]}" "$APP")" "$REPORT"
    exits_with 2 "usage: report FILE.yaml" in_docker "$APP" too many
    echo '{title: Given, items: [{name: nut, price: 1}]}' >"$WORK/given.yaml"
    equals "$(in_docker -v "$WORK/given.yaml:/given.yaml:ro" "$APP" /given.yaml)" \
        $'Given\nnut            1.00\ntotal          1.00'
}
real_case "app in docker" app_docker

# The tree is at /app for every program of the image; nothing can be written, volumes included.
app_policy() {
    equals "$(in_docker --entrypoint python3 "$APP" -c "import os; print(sorted(os.listdir('/app')))")" \
        "['inventory.yaml', 'lib', 'main.py']"
    local code="
for path in '/made', '/tmp/made', '/app/made', '/app/main.py', '/data/made':
    try: open(path, 'w')
    except OSError as e: print(e.strerror, path)"
    equals "$(in_docker -v "$WORK/log:/data" --entrypoint python3 "$APP" -c "$code")" \
        "$(printf 'Read-only file system %s\n' /made /tmp/made /app/made /app/main.py /data/made)"
}
real_case "app policy in docker" app_policy

app_podman() {
    podman load -i "${APP_DIR:-$WORK/app}/oci-archive.tar"
    equals "$(in_podman "$APP")" "$REPORT"
    equals "$(in_podman --read-only --user 1000 --cap-drop all "$APP")" "$REPORT"
}
real_case "app in podman" app_podman

app_ctr() {
    ctr image import "${APP_DIR:-$WORK/app}/oci-archive.tar"
    equals "$(ctr run --rm "docker.io/$APP" app)" "$REPORT"
}
real_case "app in ctr" app_ctr
