# Python alone in Pulley form: no native guest code at all.
pulley() {
    local image=vkernel/python:3.12-slim
    [[ -n ${PULLEY_DIR:-} ]] ||
        polybuild_build "$ROOT/base-images/python/3.12-slim/recipe.toml" "$WORK/pulley" --form pulley
    verify "${PULLEY_DIR:-$WORK/pulley}/docker-archive.tar"
    docker load -i "${PULLEY_DIR:-$WORK/pulley}/docker-archive.tar"
    contains "$(in_docker "$image" python3 -c 'import sys; print(sys.version)')" "$VERSION"
    contains "$(in_docker --entrypoint /.vkernel/megabinary "$image" --info)" Pulley
    equals "$(in_docker "${ALL[@]}" "$image" python3 -c 'import json; print(json.dumps([1, "a"]))')" '[1, "a"]'
    exits 3 in_docker "$image" python3 -c 'import sys; sys.exit(3)'
}
real_case "docker run of the Pulley form" pulley
