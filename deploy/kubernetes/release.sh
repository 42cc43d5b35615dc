#!/bin/sh
# A release with Jobs: the tasks of before, the deployment, the tasks of after.
#
#   release.sh [FOLDER]     default: where this script is; its files name the image and the release
set -eu
here=${1:-$(dirname "$0")}

# Creates a Job, waits until it has ended either way, and shows what was said.
job() {
    name=$(kubectl create -f "$here/$1" -o name)
    while :; do
        state=$(kubectl get "$name" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}')
        case " $state " in *" Complete "* | *" Failed "*) break ;; esac
        sleep "${ONCELY_POLL:-2}"
    done
    kubectl logs "$name" --all-containers || true
    case " $state " in *" Complete "*) return 0 ;; esac
    echo "release.sh: $name failed." >&2
    return 1
}

job job-before.yaml
kubectl apply -f "$here/deployment.yaml"
kubectl rollout status -f "$here/deployment.yaml" --timeout=15m
job job-after.yaml
