#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sbom.sh SOURCE BUILD WORK: the list of deploy/sbom.sh is SPDX, and whole: each library that ldd names belongs to a package of the list, with
# a licence. Skipped (77) where there is no dpkg.
set -eu

source=$1 build=$2 work=$3
command -v dpkg-query >/dev/null || exit 77
rm -rf "$work"
mkdir -p "$work"
sh "$source/deploy/sbom.sh" "$build/kvtel" 1.2 >"$work/kvtel.spdx.json"
ldd "$build/kvtel" | sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p' >"$work/linked"
python3 - "$work" <<'END'
import json, os, re, subprocess, sys

work = sys.argv[1]
document = json.load(open(f"{work}/kvtel.spdx.json"))
assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
packages = {one["name"]: one for one in document["packages"]}
ids = {one["SPDXID"] for one in document["packages"]} | {"SPDXRef-DOCUMENT"}
assert len(ids) == len(packages) + 1 and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
for relation in document["relationships"]:
    assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= ids, relation
linked = {one["relatedSpdxElement"] for one in document["relationships"] if one["relationshipType"] == "DYNAMIC_LINK"}
files = open(f"{work}/linked").read().split()
assert len(files) > 10, files
names = {name: file for file in files for name in ("/usr" + file, os.path.realpath(file), file)}
found = subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True).stdout.splitlines()
owned = {names[path]: owner.split(":")[0] for owner, path in (line.split(": ") for line in found)}
for file in files:
    package = owned[file]
    assert package in packages and "SPDXRef-" + package in linked, f"{file} of {package} is not in the list"
for one in packages.values():
    assert one["licenseDeclared"] not in ("", "NOASSERTION") and one["versionInfo"], one
assert {"libmsgpack-dev", "libjs-chart.js"} <= set(packages), "what is compiled in"
print(len(packages), "packages")
END
# a program that links nothing of a package is an error, not an empty list
! sh "$source/deploy/sbom.sh" "$source/LICENSE" 1.2 >"$work/empty" 2>"$work/error"
grep -q 'links nothing' "$work/error"
