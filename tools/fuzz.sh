#!/usr/bin/env bash
# Runs every fuzz target of the tree, one after another.
#   fuzz.sh each 30s     each for this long
#   fuzz.sh total 300s   all together for about this long
set -euo pipefail
cd "$(dirname "$0")/.."

mode=$1 time=$2
mapfile -t targets < <(grep -rnE '^func Fuzz[A-Za-z0-9_]*\(' --include='*_test.go' . | sed -E 's/^([^:]+)\/[^/:]+:[0-9]+:func (Fuzz[A-Za-z0-9_]*)\(.*/\1 \2/' | sort -u)
count=${#targets[@]}
if [ "$count" -eq 0 ]; then
	echo "fuzz: there is no fuzz target" >&2
	exit 1
fi
if [ "$mode" = total ]; then
	each=$((${time%s} / count))
	time=$((each > 2 ? each : 2))s
fi
echo "fuzz: $count targets, $time each"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
fuzz() { go test "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" -timeout 1h >"$log" 2>&1; }

failed=0
for target in "${targets[@]}"; do
	read -r dir name <<<"$target"
	ok=yes
	if ! fuzz "$dir" "$name"; then
		ok=no
		# The fuzzer at times reports its own deadline as a failure: that, and
		# nothing that names an input, is tried once more.
		if grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log" && fuzz "$dir" "$name"; then
			ok=yes
		fi
	fi
	if [ "$ok" = yes ]; then
		echo "ok    $dir $name  $(grep -oE 'execs: [0-9]+' "$log" | tail -1 || true)"
	else
		echo "FAIL  $dir $name"
		cat "$log"
		failed=1
	fi
done
exit "$failed"
