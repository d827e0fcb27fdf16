#!/usr/bin/env bash
# Measures every figure and writes docs/benchmarks.md. Starts a PostgreSQL that
# syncs to disk, as a city's would; GONGSHU_BENCH_POSTGRES names another one.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
if [ -z "${GONGSHU_BENCH_POSTGRES:-}" ] && [ -n "$bin" ]; then
	dir=$(mktemp -d)
	as=()
	if [ "$(id -u)" = 0 ]; then
		chown postgres "$dir"
		as=(runuser -u postgres --)
	fi
	port=$((20000 + RANDOM % 20000))
	(cd "$dir" && "${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 >/dev/null &&
		"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=512MB -c max_wal_size=4GB -c max_connections=200" start >/dev/null)
	trap '(cd / && "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1); rm -rf "$dir"' EXIT
	export GONGSHU_BENCH_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
fi
/tmp/bench/bn "$@"
