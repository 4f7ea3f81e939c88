#!/usr/bin/env bash
# Run by `make deploy`. Applies an overlay in an order that loses no events: stores, Brokers and tables;
# the functions, each by `kn func deploy`; and, once every Trigger is Ready, the sources. While it
# waits it prints the conditions of the objects it waits for.
#   IMAGE=REG/kandle:TAG      the image of knative/Containerfile (or ...@sha256:...)
#   FUNCTION=persist          only this function; `kandle` is the whole pipeline as one function
#   OVERLAY=dev|prod|small    default dev
#   FUNC='func'               the func command; default `kn func`
#   NATS_URL=nats://...       the channel's NATS if config-nats is missing; default Kandle's own
#   PATIENCE_S=600            how long to wait for one kind of object
#   DRY_RUN=1                 only print the commands and the manifests of `kn func`
set -euo pipefail
cd "$(dirname "$0")/.."
image=${IMAGE:?name the image: make deploy IMAGE=registry.example.com/kandle:v1}
overlay=${OVERLAY:-dev}
[ "${FUNCTION:-}" != kandle ] || overlay=small
namespace=kandle
python=${PYTHON:-.venv/bin/python}
read -ra func <<<"${FUNC:-kn func}"

run() {
    printf '+ %s\n' "$*"
    [ -n "${DRY_RUN:-}" ] || "$@"
}

# await KIND CONDITION [SELECTION]: waits until every object of the kind has the condition.
await() {
    local kind=$1 condition=$2 path said='' now
    shift 2
    printf '+ wait %s --for=condition=%s %s\n' "$kind" "$condition" "${*:---all}"
    [ -z "${DRY_RUN:-}" ] || return 0
    path=".status.conditions[?(@.type==\"$condition\")]"
    path="{range .items[*]}{.metadata.name}{\"\t\"}{$path.status}{\"\t\"}{$path.reason}{\"\t\"}{$path.message}{\"\n\"}{end}"
    local started=$SECONDS
    while :; do
        now=$(kubectl get "$kind" -n "$namespace" "$@" -o "jsonpath=$path")
        if [ -z "$now" ]; then
            now="  none is there"
        else
            now=$(awk -F'\t' '$1 != "" && $2 != "True" {print "  " $1 ": " ($3 $4 == "" ? "has not said anything yet" : $3 ($3 != "" && $4 != "" ? ": " : "") $4)}' <<<"$now")
        fi
        [ -n "$now" ] || return 0
        [ "$now" = "$said" ] || printf '%s\n' "$now"
        said=$now
        if [ $((SECONDS - started)) -ge "${PATIENCE_S:-600}" ]; then
            echo "$kind: not $condition after ${PATIENCE_S:-600} s. \`kandle doctor --cluster\` looks at everything." >&2
            exit 1
        fi
        sleep "${POLL_S:-2}"
    done
}

# Waits until an object created by another one exists.
await_there() {
    printf '+ wait %s --for=create\n' "$1"
    [ -z "${DRY_RUN:-}" ] || return 0
    local started=$SECONDS said=''
    while [ -z "$(kubectl get "$1" -n "$namespace" --ignore-not-found -o name)" ]; do
        [ -n "$said" ] || echo "  $1 is not there: it comes from $2"
        said=yes
        [ $((SECONDS - started)) -lt "${PATIENCE_S:-600}" ] || { echo "$1 did not come: look at $2" >&2; exit 1; }
        sleep "${POLL_S:-2}"
    done
}

# Waits until the pods of every StatefulSet are Ready.
await_stores() {
    printf '+ wait statefulset --for=rollout --all\n'
    [ -z "${DRY_RUN:-}" ] || return 0
    local each
    for each in $(kubectl get statefulset -n "$namespace" -o name); do
        kubectl rollout status "$each" -n "$namespace" --timeout="${PATIENCE_S:-600}s"
    done
}

# Writes a kustomization of the overlay with this image.
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

# Deploys with func, then applies the overlay, which sets what func.yaml cannot: timeouts, and production
# settings. The second step changes the Service only if the two differ.
deploy() {
    local folder=functions/${1//-/_}
    [ "$1" != kandle ] || folder=.
    run "${func[@]}" deploy --path "$folder" --namespace "$namespace" --image "$image" --build=false --push=false
    if [ -n "${DRY_RUN:-}" ] && [ -x "$python" ]; then
        "$python" -m local.manifests.kn_func "$folder" --image "$image" | sed 's/^/    /'
    fi
    run kubectl apply -k "$where" -l "function.knative.dev/name=$1"
}

if [ -n "${FUNCTION:-}" ]; then
    deploy "$FUNCTION"
    exit
fi

# A Job cannot be changed. Deleting a completed one keeps what it created.
run kubectl delete job migrations secrets buckets -n "$namespace" --ignore-not-found
run kubectl apply -k "$where" -l '!function.knative.dev/name,kandle.dev/starts!=last'
await_there secret/kandle-stores "the Job secrets, a vault or you"
run knative/config-nats.sh
await_stores
# A Broker is Ready once its dead letter sink has an address. That of `small` is a plain URI.
[ "$overlay" = small ] || deploy dead-letter
await broker Ready
await job Complete --field-selector metadata.name=migrations
if [ "$overlay" = small ]; then
    deploy kandle
else
    for each in functions/*/func.yaml; do
        name=$(basename "$(dirname "$each")")
        case $name in
            dead_letter | udp_bridge) ;; # the first is deployed already, the second is a source
            *) deploy "${name//_/-}" ;;
        esac
    done
fi
await triggers.eventing.knative.dev Ready
[ "$overlay" = small ] || deploy udp-bridge
run kubectl apply -k "$where" -l kandle.dev/starts=last
# Not those of revisions: one created before its K_SINK never becomes available, and is not needed.
await deployment Available -l 'app.kubernetes.io/part-of=kandle,!serving.knative.dev/service'
[ -n "${DRY_RUN:-}" ] || {
    echo "Kandle is ready:"
    kubectl get ksvc -n "$namespace" -l 'networking.knative.dev/visibility!=cluster-local' \
        -o 'jsonpath={range .items[*]}{"  "}{.metadata.name}{"\t"}{.status.url}{"\n"}{end}'
}
