#!/usr/bin/env bash
# What `make deploy` runs. It applies an overlay in an order that loses nothing: stores, Brokers and
# tables; the functions, each by `kn func deploy`; and, when every Trigger is Ready, the sources.
#   IMAGE=REG/kandle:TAG      the image of knative/Containerfile (or ...@sha256:...)
#   FUNCTION=persist          only this function; `kandle` is the whole pipeline as one function
#   OVERLAY=dev|prod|small    default dev
#   FUNC='func'               how func is called here; default `kn func`
#   DRY_RUN=1                 only print the commands
set -euo pipefail
cd "$(dirname "$0")/.."
image=${IMAGE:?name the image: make deploy IMAGE=registry.example.com/kandle:v1}
overlay=${OVERLAY:-dev}
[ "${FUNCTION:-}" != kandle ] || overlay=small
namespace=kandle
read -ra func <<<"${FUNC:-kn func}"

run() {
    printf '+ %s\n' "$*"
    [ -n "${DRY_RUN:-}" ] || "$@"
}

# The overlay with this image, as a kustomization of its own.
where=dist/deploy
mkdir -p "$where"
last=${image##*/} # a colon before it is a registry's port
case $last in
    *@*) name=${image%@*} version="digest: ${image#*@}" ;;
    *:*) name=${image%:*} version="newTag: \"${last#*:}\"" ;;
    *) name=$image version="newTag: latest" ;;
esac
{
    echo "resources: [../../knative/overlays/$overlay]"
    echo "images:"
    for known in dev.local/kandle registry.example.com/kandle; do
        echo "  - {name: $known, newName: $name, $version}"
    done
} >"$where/kustomization.yaml"

# First as func does it; then as the overlay has it, which says what func.yaml cannot: timeouts, what
# production adds. The second changes the Service only where the two differ.
deploy() {
    local folder=functions/${1//-/_}
    [ "$1" != kandle ] || folder=.
    run "${func[@]}" deploy --path "$folder" --namespace "$namespace" --image "$image" --build=false --push=false
    run kubectl apply -k "$where" -l "function.knative.dev/name=$1"
}

if [ -n "${FUNCTION:-}" ]; then
    deploy "$FUNCTION"
    exit
fi

# A Job cannot be changed. Deleting one that is done deletes nothing that it made.
run kubectl delete job migrations secrets buckets -n "$namespace" --ignore-not-found
run kubectl apply -k "$where" -l '!function.knative.dev/name,kandle.dev/starts!=last'
run kubectl wait broker --all -n "$namespace" --for=condition=Ready --timeout=10m
run kubectl wait job/migrations -n "$namespace" --for=condition=Complete --timeout=10m
if [ "$overlay" = small ]; then
    deploy kandle
else
    for each in functions/*/func.yaml; do
        name=$(basename "$(dirname "$each")")
        deploy "${name//_/-}"
    done
fi
run kubectl wait triggers.eventing.knative.dev --all -n "$namespace" --for=condition=Ready --timeout=10m
run kubectl apply -k "$where" -l kandle.dev/starts=last
run kubectl wait deployment --all -n "$namespace" --for=condition=Available --timeout=10m
