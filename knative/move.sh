#!/usr/bin/env bash
# Run by `make move`: switches between the overlays dev and small in place, with all data. A Trigger cannot
# change its Broker, so the eventing objects are recreated once no event is pending.
#   IMAGE, FUNC, DRY_RUN ...  as for knative/deploy.sh, which is run at the end
#   OVERLAY=dev|small         the target
# For prod, the database and the secrets change too: docs/deploy.md#from-one-overlay-to-another.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${IMAGE:?name the image: make move OVERLAY=small IMAGE=registry.example.com/kandle:v1}"
case ${OVERLAY:-} in
    dev | small) ;;
    prod) echo "to prod by backup and restore, or side by side: docs/deploy.md#from-one-overlay-to-another" >&2; exit 1 ;;
    *) echo "name where to: make move OVERLAY=dev or OVERLAY=small" >&2; exit 1 ;;
esac
namespace=kandle

run() {
    printf '+ %s\n' "$*"
    [ -n "${DRY_RUN:-}" ] || "$@"
}

# Waits until no consumer of any stream has pending or unacknowledged events, as reported by NATS.
drained() {
    printf '+ wait for every consumer of nats-0 to be done\n'
    [ -z "${DRY_RUN:-}" ] || return 0
    local started=$SECONDS waiting said=''
    while :; do
        waiting=$(kubectl exec nats-0 -c nats -n "$namespace" -- wget -qO- 'http://127.0.0.1:8222/jsz?accounts=true&consumers=true')
        case $waiting in *account_details*) ;; *) echo "NATS does not say what waits" >&2; exit 1 ;; esac
        waiting=$(grep -Eo '"num_(ack_)?pending": *[0-9]+' <<<"$waiting" | awk '{n += $NF} END {print n + 0}')
        [ "$waiting" -gt 0 ] || return 0
        [ "$waiting" = "$said" ] || echo "  $waiting events wait or are at work"
        said=$waiting
        [ $((SECONDS - started)) -lt "${PATIENCE_S:-600}" ] || { echo "$waiting events still wait: is a function not Ready? Nothing was removed but the clock; make deploy brings back what was stopped." >&2; exit 1; }
        sleep "${POLL_S:-2}"
    done
}

# Sources first; senders to /ingest get 404 or 503 and retry.
run kubectl scale deployment -n "$namespace" -l kandle.dev/starts=last --replicas=0
run kubectl delete pingsource clock -n "$namespace" --ignore-not-found
run kubectl delete ksvc udp-bridge -n "$namespace" --ignore-not-found
drained
run kubectl delete triggers.eventing.knative.dev,brokers.eventing.knative.dev,eventtypes.eventing.knative.dev,sinkbindings.sources.knative.dev --all -n "$namespace"
run kubectl delete ksvc -n "$namespace" -l app.kubernetes.io/part-of=kandle
exec knative/deploy.sh
