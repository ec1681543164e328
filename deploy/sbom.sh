#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sbom.sh PROGRAM VERSION: what is in kvtel, as SPDX 2.3 in JSON, from dpkg of the Debian machine that built it: the libraries that PROGRAM
# links, those whose code it contains (msgpack's headers, Chart.js), and libcurl, which it loads. A library that no package owns stands
# in the list by the name of its file, without version and licence (NOASSERTION), and is named on the standard error. A package whose
# licence is not in the list below ends it with an error.
set -eu

program=$1 version=$2
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)

die() {
    echo "sbom.sh: $*" >&2
    exit 1
}

# licence_of PACKAGE: an expression of SPDX, as Debian's copyright file of the package says it of the library itself.
licence_of() {
    while read -r name licence; do
        [ "$(echo "${1%%:*}" | sed 's/[-.0-9]*$//')" != "$name" ] || { echo "$licence" && return; }
    done <<'END'
libc LGPL-2.1-or-later
libcrypt LGPL-2.1-or-later
libcurl3-gnutls curl
libcurl curl
libffi MIT
libgmp LGPL-3.0-or-later OR GPL-2.0-or-later
libgnutls LGPL-2.1-or-later
libhogweed LGPL-3.0-or-later OR GPL-2.0-or-later
libidn LGPL-3.0-or-later OR GPL-2.0-or-later
libisal BSD-3-Clause
libjansson MIT
libjs-chart.js MIT
libmicrohttpd LGPL-2.1-or-later
libmsgpack-dev BSL-1.0
libncursesw X11
libnettle LGPL-3.0-or-later OR GPL-2.0-or-later
libp11-kit BSD-3-Clause
libtasn LGPL-2.1-or-later
libtinfo X11
libunistring LGPL-3.0-or-later OR GPL-2.0-or-later
libyaml MIT
libzstd BSD-3-Clause OR GPL-2.0-only
zlib1g Zlib
END
    die "the licence of $1 is not in the list: read /usr/share/doc/${1%%:*}/copyright and add it"
}

# add NAME RELATION LICENCE MORE: one object of "packages" into $packages, one of "relationships" into $relations. MORE: further members of
# the first, with a comma behind.
packages='' relations=''
add() {
    id=SPDXRef-$(echo "$1" | tr -c 'A-Za-z0-9.\n' '-')
    packages="$packages,
    { \"SPDXID\": \"$id\", \"name\": \"$1\", \"downloadLocation\": \"NOASSERTION\",$4
      \"filesAnalyzed\": false, \"licenseConcluded\": \"NOASSERTION\", \"licenseDeclared\": \"$3\", \"copyrightText\": \"NOASSERTION\" }"
    case $2 in
    OPTIONAL_DEPENDENCY_OF) relation="\"spdxElementId\": \"$id\", \"relationshipType\": \"$2\", \"relatedSpdxElement\": \"SPDXRef-kvtel\"" ;;
    *) relation="\"spdxElementId\": \"SPDXRef-kvtel\", \"relationshipType\": \"$2\", \"relatedSpdxElement\": \"$id\"" ;;
    esac
    relations="$relations,
    { $relation }"
}

# unowned NAME RELATION: what is of no package.
unowned() {
    echo "sbom.sh: $1 belongs to no package: neither its version nor its licence is in the list" >&2
    add "$1" "$2" NOASSERTION ''
}

# entry PACKAGE RELATION
entry() {
    name=${1%%:*}
    version_of=$(echo "$versions" | sed -n "s/^$name //p" | head -n 1)
    [ -n "$version_of" ] || { unowned "$name" "$2" && return; }
    licence=$(licence_of "$1") || exit 1
    add "$name" "$2" "$licence" "
      \"versionInfo\": \"$version_of\", \"supplier\": \"Organization: Debian\",
      \"externalRefs\": [{ \"referenceCategory\": \"PACKAGE-MANAGER\", \"referenceType\": \"purl\",
                         \"referenceLocator\": \"pkg:deb/debian/$name@$version_of?distro=debian-12\" }],"
}

files=$(ldd "$program" 2>/dev/null | sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p')
[ -n "$files" ] || die "$program links nothing, or ldd cannot read it"
# dpkg may know a file by its name below / or below /usr
owners=$(dpkg-query -S $(for file in $files; do echo "$file /usr$file $(realpath "$file")"; done | tr ' ' '\n' | sort -u) 2>/dev/null) || :
linked='' own=''
for file in $files; do
    owner=$(echo "$owners" | grep -x -m 1 "[^ ]*: \($file\|/usr$file\|$(realpath "$file")\)") || { own="$own ${file##*/}" && continue; }
    linked="$linked
${owner%%: *}"
done
linked=$(echo "$linked" | sort -u)
versions=$(dpkg-query -W -f '${Package} ${Version}\n' $linked libmsgpack-dev libjs-chart.js libcurl3-gnutls libcurl4 2>/dev/null) || :
for package in $linked; do entry "$package" DYNAMIC_LINK; done
for library in $own; do unowned "$library" DYNAMIC_LINK; done
entry libmsgpack-dev STATIC_LINK
entry libjs-chart.js CONTAINS
for curl in libcurl3-gnutls libcurl4; do
    if echo "$versions" | grep -q "^$curl [0-9]"; then
        entry "$curl" OPTIONAL_DEPENDENCY_OF
        break
    fi
done

cat <<END
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "kvtel-$version",
  "documentNamespace": "urn:kvtel:sbom:$version:$(sha256sum "$program" | cut -c 1-32)",
  "creationInfo": { "created": "$created", "creators": ["Tool: sbom.sh-$version"] },
  "packages": [
    { "SPDXID": "SPDXRef-kvtel", "name": "kvtel", "versionInfo": "$version", "downloadLocation": "NOASSERTION",
      "filesAnalyzed": false, "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0", "copyrightText": "NOASSERTION" }$packages
  ],
  "relationships": [
    { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-kvtel" }$relations
  ]
}
END
