#!/usr/bin/env bash
# Configures the server of the NATS JetStream channel: the ConfigMap `config-nats`, unless it exists.
#   NATS_URL=nats://...       your own NATS; by default Kandle's, under the channel's account
#   NAMESPACE=kandle          where Kandle is, if Helm or Terraform installed it elsewhere
# By default nats.go gives up after 60 attempts (two minutes): the dispatcher then never reconnects,
# while every Broker stays Ready and answers 500. connOpts makes it retry for three weeks.
set -euo pipefail
namespace=${NAMESPACE:-kandle}
found=$(kubectl get configmap config-nats -n knative-eventing --ignore-not-found -o 'jsonpath={.data.eventing-nats}')
if [ -n "$found" ]; then
    case $found in
        *maxReconnects*) echo "config-nats is there and stays as it is" ;;
        *) echo "config-nats has no connOpts.maxReconnects: after two minutes without NATS the Brokers answer 500 until the dispatcher's pod is deleted (docs/deploy.md has the whole ConfigMap)" >&2 ;;
    esac
    exit
fi
if [ -z "${NATS_URL:-}" ]; then
    echo "config-nats names the NATS of namespace $namespace (NAMESPACE=... for another)"
    password=$(kubectl get secret kandle-servers -n "$namespace" --ignore-not-found -o 'go-template={{with .data}}{{.NATS_CHANNEL_PASSWORD | base64decode}}{{end}}')
    [ -n "$password" ] || { echo "config-nats is missing in knative-eventing, and there is no Secret kandle-servers with NATS_CHANNEL_PASSWORD: name a NATS with NATS_URL=nats://..." >&2; exit 1; }
    NATS_URL="nats://channel:$password@nats.$namespace.svc.cluster.local:4222"
fi
kubectl create -f - <<MANIFEST
apiVersion: v1
kind: ConfigMap
metadata: {name: config-nats, namespace: knative-eventing}
data:
  eventing-nats: |
    url: "$NATS_URL"
    connOpts:
      retryOnFailedConnect: true
      maxReconnects: 1000000
      reconnectWaitMilliseconds: 2000
MANIFEST
