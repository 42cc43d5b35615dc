#!/bin/sh
# Unpacks the archive of oncely that stands in vendor/, if its checksum is right, and puts the program
# on the PATH of the steps that follow.
set -eu
[ ! -d vendor ] || cd vendor
set -- oncely-*-"$(uname -m)"-linux.tar.gz
if [ $# -ne 1 ] || [ ! -f "$1" ]; then
    echo "install.sh: vendor/ must hold one archive of oncely for $(uname -m)." >&2
    exit 1
fi
sha256sum --check "$1.sha256"
folder=${RUNNER_TEMP:-/tmp}/oncely
mkdir -p "$folder"
tar -xzf "$1" -C "$folder" --strip-components=1
echo "$folder" >>"$GITHUB_PATH"
