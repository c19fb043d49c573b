#!/bin/sh
# Before nginx starts, what lies in /docker-entrypoint.d runs, in the order of the names: NAME.sh that can be
# executed is executed, NAME.envsh is read into this shell, so that it can set variables for those after it.
# NGINX_ENTRYPOINT_QUIET_LOGS set to anything: nothing is said about it.
set -e

say() { [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$0: $*"; }

if [ "${1:-}" = nginx ]; then
    for script in /docker-entrypoint.d/*; do
        case $script in
        *.envsh)
            say "reading $script"
            . "$script"
            ;;
        *.sh)
            if [ -x "$script" ]; then
                say "running $script"
                "$script"
            else
                say "not running $script, which is not executable"
            fi
            ;;
        *) say "ignoring $script" ;;
        esac
    done
fi
exec "$@"
