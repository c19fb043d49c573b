#!/bin/sh
# Makes sites of templates: PATH.template below the templates' folder becomes PATH below the output folder, with
# each $NAME and ${NAME} of a variable of this container replaced. Other words with a $ are nginx's and stay.
#
#   NGINX_ENVSUBST_TEMPLATE_DIR     default /etc/nginx/templates
#   NGINX_ENVSUBST_TEMPLATE_SUFFIX  default .template
#   NGINX_ENVSUBST_OUTPUT_DIR       default /etc/nginx/conf.d
#   NGINX_ENVSUBST_FILTER           a regular expression: only variables whose name matches are replaced
set -e

from=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
to=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}

[ -d "$from" ] || exit 0
if [ ! -w "$to" ]; then
    echo "$0: $to cannot be written: the templates in $from are left as they are" >&2
    exit 0
fi
names=$(NGINX_ENVSUBST_FILTER=${NGINX_ENVSUBST_FILTER:-} awk 'BEGIN {
    for (name in ENVIRON)
        if (name ~ /^[A-Za-z_][A-Za-z_0-9]*$/ && name ~ ENVIRON["NGINX_ENVSUBST_FILTER"]) printf "${%s} ", name
}')
find "$from" -follow -type f -name "*$suffix" | sort | while IFS= read -r template; do
    path=${template#"$from"/}
    site=$to/${path%"$suffix"}
    mkdir -p "${site%/*}"
    [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$0: $template becomes $site"
    envsubst "$names" <"$template" >"$site"
done
