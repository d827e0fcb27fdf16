#!/usr/bin/env bash
# Fails on stale generated code, an unformatted file, a broken import direction,
# a package missing from README, a platform that does not build, an address in a
# lock file, a list of articles and their tests that is out of date.
set -euo pipefail
cd "$(dirname "$0")/.."
fail=0
say() { echo "verify: $*"; fail=1; }

unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || say "not formatted: $unformatted"

before=$(git ls-files '*_templ.go' | xargs -r sha256sum)
go tool templ generate -path . >/dev/null 2>&1 || say "templ generate failed"
after=$(git ls-files '*_templ.go' | xargs -r sha256sum)
[ "$before" = "$after" ] || say "stale generated code: run make generate and commit"
untracked=$(git ls-files --others --exclude-standard '*_templ.go')
[ -z "$untracked" ] || say "generated code not committed: $untracked"

go mod verify >/dev/null || say "go mod verify failed"
go mod tidy -diff >/dev/null 2>&1 || say "go.mod is not tidy: run go mod tidy"
if grep -qE '"resolved"|https?://[^"]*registry' ui/package-lock.json; then say "the lock file holds addresses"; fi

go vet ./... || say "go vet"
go test -count=1 . || say "the house rules"
go run ./cmd/gongshu clauses --tests . >/dev/null || say "an article that the program cites has no test"
go run ./cmd/gongshu clauses --tests . --csv | cmp -s - clause/tests.csv || say "clause/tests.csv does not say which tests show which article: run make clauses"
for arch in amd64 arm64 loong64; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -o /dev/null ./cmd/gongshu || say "linux/$arch does not build"
done
[ "$fail" = 0 ] && echo "verify: all well"
exit "$fail"
