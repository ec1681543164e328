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
own = [os.path.basename(file) for file in files if file not in owned] # where the build has libraries of its own
for file in files:
    package = owned.get(file, os.path.basename(file))
    assert package in packages and packages[package]["SPDXID"] in linked, f"{file} of {package} is not in the list"
for one in packages.values():
    assert one["name"] in own or (one["licenseDeclared"] not in ("", "NOASSERTION") and one["versionInfo"]), one
assert {"libmsgpack-dev", "libjs-chart.js"} <= set(packages), "what is compiled in"
print(len(packages), "packages")
END
# a program that links nothing of a package is an error, not an empty list
! sh "$source/deploy/sbom.sh" "$source/LICENSE" 1.2 >"$work/empty" 2>"$work/error"
grep -q 'links nothing' "$work/error"

# a library of no package: in the list, with nothing said of its licence, and named
echo 'int own(void) { return 0; }' >"$work/own.c"
echo 'int own(void); int main(void) { return own(); }' >"$work/program.c"
"${CC:-cc}" -shared -fPIC "$work/own.c" -o "$work/libown_c++.so.1"
"${CC:-cc}" "$work/program.c" "$work/libown_c++.so.1" -o "$work/program"
sh "$source/deploy/sbom.sh" "$work/program" 1.2 >"$work/own.spdx.json" 2>"$work/error"
grep -q 'libown_c++.so.1 belongs to no package' "$work/error"
python3 - "$work/own.spdx.json" <<'END'
import json, sys

document = json.load(open(sys.argv[1]))
packages = {one["name"]: one for one in document["packages"]}
assert packages["libown_c++.so.1"] == {"SPDXID": "SPDXRef-libown-c--.so.1", "name": "libown_c++.so.1", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                                       "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION"}
assert packages["libc6"]["licenseDeclared"] == "LGPL-2.1-or-later", packages["libc6"]
assert {"spdxElementId": "SPDXRef-kvtel", "relationshipType": "DYNAMIC_LINK", "relatedSpdxElement": "SPDXRef-libown-c--.so.1"} in document["relationships"]
END
