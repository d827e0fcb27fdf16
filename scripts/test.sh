#!/usr/bin/env bash
# Sets up what the tests need, then runs all of them. What could not be set up is
# said at the start and again at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
missing=()

# apt_install PACKAGE... installs what is missing where that is permitted.
apt_install() {
	command -v apt-get >/dev/null || { echo "set-up: no apt-get here; install by hand: $*"; return 1; }
	local sudo=()
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || { echo "set-up: not root and no sudo; install by hand: $*"; return 1; }
		sudo=(sudo -n)
	fi
	echo "set-up: installing $*"
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null &&
		"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

pg_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

[ -n "${GONGSHU_TEST_POSTGRES:-}" ] || [ -n "$(pg_bin)" ] || apt_install postgresql || true
command -v chromium >/dev/null || apt_install chromium || true
fc-list 2>/dev/null | grep -qi 'cjk' || apt_install fonts-noto-cjk fontconfig || true

# A real S3 server, built once and kept: versity/versitygw, Apache-2.0.
gateway="${XDG_CACHE_HOME:-$HOME/.cache}/gongshu-test/v1.8.0"
if [ -z "${GONGSHU_TEST_VERSITYGW:-}" ] && ! command -v versitygw >/dev/null; then
	if [ ! -x "$gateway/versitygw" ]; then
		echo "set-up: building the S3 server for the tests, once"
		mkdir -p "$gateway" && GOBIN="$gateway" CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 || true
	fi
	[ -x "$gateway/versitygw" ] && export GONGSHU_TEST_VERSITYGW="$gateway/versitygw"
fi

# One throw-away PostgreSQL for the whole run.
if [ -z "${GONGSHU_TEST_POSTGRES:-}" ] && [ -n "$(pg_bin)" ]; then
	bin=$(pg_bin)
	dir=$(mktemp -d)
	as=()
	if [ "$(id -u)" = 0 ]; then
		chown postgres "$dir"
		as=(runuser -u postgres --)
	fi
	port=$((20000 + RANDOM % 20000))
	if (cd "$dir" && "${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --no-sync -E UTF8 --locale=C.UTF-8 >/dev/null &&
		"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=300" start >/dev/null); then
		export GONGSHU_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
		trap '(cd / && "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1); rm -rf "$dir"' EXIT
	else
		cat "$dir/log" 2>/dev/null
		rm -rf "$dir"
	fi
fi
[ -n "${GONGSHU_TEST_POSTGRES:-}" ] || missing+=("PostgreSQL: the PostgreSQL half of the conformance suites did not run")
[ -n "${GONGSHU_TEST_VERSITYGW:-}" ] || command -v versitygw >/dev/null || missing+=("S3 server (versitygw): the S3 half of the object store's suite did not run")
command -v chromium >/dev/null || missing+=("Chromium: the browser tests did not run")
[ -d "${GONGSHU_REALDATA:-../shared/data}" ] || missing+=("real input: set GONGSHU_REALDATA to its folder; the replicas ran")
for m in "${missing[@]}"; do echo "set-up: missing $m"; done

code=0
go test -timeout 20m "$@" ./... || code=$?
for m in "${missing[@]}"; do echo "NOT RUN: $m"; done
# What CI must have, it must not silently go without.
if [ "${CI:-}" = true ] && { [ -z "${GONGSHU_TEST_POSTGRES:-}" ] || ! command -v chromium >/dev/null; }; then
	echo "on CI both PostgreSQL and Chromium are required"
	code=1
fi
exit "$code"
