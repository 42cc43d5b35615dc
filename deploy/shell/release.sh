#!/bin/sh
# A release by hand or by any tool: the tasks of before, the new version, the tasks of after.
#
#   release.sh RELEASE COMMAND…     such as: release.sh v42 systemctl restart shop
#
# Run it in the project's root, as the user whose ledger it is. It exits with what oncely said: 1 a task
# failed, 2 a file is wrong, 4 an attempt is unknown; or with what COMMAND said.
set -eu
[ $# -ge 2 ] || { echo "release.sh: RELEASE COMMAND…, such as: release.sh v42 systemctl restart shop" >&2; exit 2; }
release=$1
shift
oncely run --phase before --release "$release"
"$@"
oncely run --phase after --release "$release"
