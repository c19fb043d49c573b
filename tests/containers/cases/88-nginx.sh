# The curated image of nginx: master and workers, reload and stop without a lost connection.
NGINX_IMAGE=vkernel/nginx:1.26.3

nginx_build() {
    [[ -n ${NGINX_DIR:-} ]] || polybuild_build "$ROOT/base-images/nginx/1.26.3/recipe.toml" "$WORK/nginx"
    verify "${NGINX_DIR:-$WORK/nginx}/docker-archive.tar"
    docker load -i "${NGINX_DIR:-$WORK/nginx}/docker-archive.tar"
}
real_case "nginx build, verify and load" nginx_build
