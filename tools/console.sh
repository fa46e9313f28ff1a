#!/usr/bin/env bash
# Builds the web console into web/dist when that can be done here, and says why
# when it cannot: the server is complete without it.
set -euo pipefail
cd "$(dirname "$0")/.."

without() {
	echo "make: the web console is left out: $1"
	rm -rf web/dist/assets web/dist/*.* # an old one would not fit the API
	exit 0
}

bin="$(tools/node.sh)" || without "$bin"
export PATH="$bin:$PATH"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! "${MAKE:-make}" --no-print-directory web/node_modules/.package-lock.json >"$log" 2>&1; then
	cat "$log" >&2
	without 'its packages could not be fetched (see above)'
fi
"${MAKE:-make}" --no-print-directory web/dist/index.html
