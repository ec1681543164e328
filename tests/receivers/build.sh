#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER: builds Prometheus, promtool, an OpenTelemetry Collector, and a reader of PodMonitors from their Go modules, as go.mod
# and go.sum here name them, into FOLDER. The first time takes half an hour on two processors; what is there stays.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

command -v go >/dev/null || {
    echo "receivers-test builds its receivers with Go 1.26 or later, which is not there: put it into PATH" >&2
    exit 1
}

# Without service discovery: the tests name their targets, and its clients are a third of the packages.
for program in prometheus promtool; do
    cmp -s "$here/prometheus/go.sum" "$folder/$program.sum" && continue
    echo "building $program"
    (cd "$here/prometheus" && go build -mod=readonly -tags netgo,remove_all_sd -o "$folder/$program" \
        "github.com/prometheus/prometheus/cmd/$program")
    cp "$here/prometheus/go.sum" "$folder/$program.sum"
done
for program in collector podmonitor; do
    cat "$here/$program/go.sum" "$here/$program/main.go" | cmp -s - "$folder/$program.sum" && continue
    echo "building $program"
    (cd "$here/$program" && go build -mod=readonly -tags netgo -o "$folder/$program" .)
    cat "$here/$program/go.sum" "$here/$program/main.go" >"$folder/$program.sum"
done
