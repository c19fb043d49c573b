# skopeo and a registry on loopback; pulled back by docker, podman and ctr.
start registry start_registry

skopeo_inspect() {
    local form digest
    digest=$(sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' "$IMAGE_DIR/oci-layout/index.json")
    for form in "oci:$IMAGE_DIR/oci-layout" "oci-archive:$IMAGE_DIR/oci-archive.tar"; do
        contains "$(skopeo inspect "$form")" "\"Digest\": \"$digest\""
    done
    contains "$(skopeo inspect "docker-archive:$IMAGE_DIR/docker-archive.tar")" '"Os": "linux"'
    contains "$(skopeo inspect --config "oci-archive:$IMAGE_DIR/oci-archive.tar")" '"architecture": "amd64"'
}
run_case "skopeo inspect" skopeo_inspect

skopeo_copy() {
    skopeo copy --dest-tls-verify=false "oci-archive:$IMAGE_DIR/oci-archive.tar" "docker://$REGISTRY/$IMAGE-oci"
    skopeo copy --dest-tls-verify=false "docker-archive:$IMAGE_DIR/docker-archive.tar" "docker://$REGISTRY/$IMAGE-docker"
    # The same layers in both: one configuration, so one image ID.
    local id
    id() { skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$1" | sed -n 's/.*"config" *: *{[^}]*"digest" *: *"\([^"]*\)".*/\1/p'; }
    equals "$(id "$IMAGE-oci" | tr -d '\n')" "$(skopeo inspect --raw "oci:$IMAGE_DIR/oci-layout" | sed -n 's/.*"config":{[^}]*"digest":"\([^"]*\)".*/\1/p')"
}
run_case "skopeo copy to a registry" skopeo_copy

# push LAYOUT NAME: by polybuild, or with the stand-in by the same library.
push() {
    if [[ -n $STANDIN ]]; then
        limited "$STANDIN_TOOL" --push "$1" "$2"
    else
        polybuild push --plain-http "$1" "$2"
    fi
}
polybuild_push() {
    push "$IMAGE_DIR/oci-layout" "$REGISTRY/pushed/python:3.12"
    # Again: everything is there.
    push "$IMAGE_DIR/oci-layout" "$REGISTRY/pushed/python:again"
    local digest
    digest=$(sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' "$IMAGE_DIR/oci-layout/index.json")
    contains "$(skopeo inspect --tls-verify=false "docker://$REGISTRY/pushed/python:3.12")" "\"Digest\": \"$digest\""
}
run_case "polybuild push" polybuild_push

# The folder of a build has a bill of materials, which is attached; this registry knows no referrers, so
# that the tag of the specification's fallback lists it. (The stand-in has none.)
polybuild_attaches() {
    [[ -z $STANDIN ]] || return 0
    push "$IMAGE_DIR" "$REGISTRY/attached/python:3.12"
    local digest attached
    digest=$(sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' "$IMAGE_DIR/oci-layout/index.json")
    attached=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/attached/python:${digest/:/-}")
    contains "$attached" '"artifactType":"application/spdx+json"'
    attached=$(sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' <<<"$attached")
    attached=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/attached/python@$attached")
    contains "$attached" "\"subject\":{\"digest\":\"$digest\""
    contains "$attached" "sha256:$(sha256sum "$IMAGE_DIR/sbom.spdx.json" | cut -d' ' -f1)"
}
run_case "polybuild push attaches the bill of materials" polybuild_attaches

pull_docker() {
    docker pull "$REGISTRY/pushed/python:3.12"
    contains "$(in_docker "$REGISTRY/pushed/python:3.12" python3 -c 'import sys; print(sys.version)')" "$VERSION"
}
run_case "docker pull" pull_docker

pull_podman() {
    podman pull --tls-verify=false "$REGISTRY/pushed/python:3.12"
    contains "$(in_podman "$REGISTRY/pushed/python:3.12" python3 -c 'import sys; print(sys.version)')" "$VERSION"
}
run_case "podman pull" pull_podman

pull_ctr() {
    ctr image pull --plain-http "$REGISTRY/pushed/python:3.12"
    contains "$(ctr run --rm "$REGISTRY/pushed/python:3.12" pulled python3 -c 'import sys; print(sys.version)')" "$VERSION"
}
run_case "ctr pull" pull_ctr
