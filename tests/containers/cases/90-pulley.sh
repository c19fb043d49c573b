# The image in Pulley form: no native guest code at all. Last, for it has the same name.
pulley() {
    [[ -n ${PULLEY_DIR:-} ]] ||
        polybuild_build "$ROOT/base-images/python/3.12/recipe.toml" "$WORK/pulley" --form pulley
    verify "${PULLEY_DIR:-$WORK/pulley}/docker-archive.tar"
    docker load -i "${PULLEY_DIR:-$WORK/pulley}/docker-archive.tar"
    contains "$(in_docker "$IMAGE" python3 -c 'import sys; print(sys.version)')" "$VERSION"
    contains "$(in_docker --entrypoint /.vkernel/megabinary "$IMAGE" --info)" Pulley
    equals "$(in_docker "${ALL[@]}" "$IMAGE" python3 -c 'import json; print(json.dumps([1, "a"]))')" '[1, "a"]'
    exits 3 in_docker "$IMAGE" python3 -c 'import sys; sys.exit(3)'
}
real_case "docker run of the Pulley form" pulley
