#!/usr/bin/env bash
# What is too long for make test: 1,000 kills on the way in, 200 on the way out, a
# minute of fuzzing for each target. GONGSHU_SOAK tells the tests to run at full length.
set -euo pipefail
cd "$(dirname "$0")/.."
export GONGSHU_SOAK=1
go test -timeout 6h -count=1 ./...
for target in $(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do
	for fuzz in $(grep -rhoE '^func (Fuzz[A-Za-z0-9]+)' --include='*_test.go' "$target" | awk '{print $2}'); do
		go test -run '^$' -fuzz "^$fuzz\$" -fuzztime "${FUZZTIME:-60s}" "$target"
	done
done
