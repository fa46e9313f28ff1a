#!/usr/bin/env bash
# Installs the programs that tests talk to, from Debian's archive, and a Node.js
# where there is none that is new enough. Says what it installs, and fails when
# something cannot be had: no test is skipped for it.
set -euo pipefail

missing=()

# need PACKAGE COMMAND...: the package is missing when the command fails.
need() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

# has finds programs where ordinary users do not look, too.
has() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1"; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

check() {
	missing=()
	need openssh-server has sshd
	need openssh-client has ssh
	need postgresql has_postgres
	need mariadb-server has mariadbd
	need sshpass has sshpass
	need python3 test -x /usr/bin/python3
	need python3-requests /usr/bin/python3 -c 'import requests'
	need curl has curl
	need slapd has slapd
	need redis-server has redis-server
	need redis-tools has redis-cli
	need sudo has sudo
	need busybox has busybox
	need softhsm2 has softhsm2-util
	need gcc has gcc
	need libc6-dev test -e /usr/include/stdlib.h
	need tmux has tmux
	need chromium has chromium
	# Any npm will do to fetch a Node.js that is new enough.
	tools/node.sh >/dev/null || need npm has npm
}

cd "$(dirname "$0")/.."
check
if [ ${#missing[@]} -eq 0 ]; then
	tools/node.sh install >/dev/null
	exit 0
fi
echo "test-deps: missing: ${missing[*]}" >&2
if ! command -v apt-get >/dev/null; then
	echo "test-deps: this machine has no apt-get; install the counterparts of these Debian packages by hand" >&2
	exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "test-deps: run as root, or install sudo: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	root=(sudo)
fi
echo "test-deps: apt-get install ${missing[*]} (Debian may start the services of what it installs)" >&2
apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >&2; }
apt update
apt install -y --no-install-recommends "${missing[@]}"

check
if [ ${#missing[@]} -ne 0 ]; then
	echo "test-deps: still missing after the installation: ${missing[*]}" >&2
	exit 1
fi
tools/node.sh install >/dev/null
