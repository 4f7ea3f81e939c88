#!/bin/sh
# Prints the Secrets of a development cluster with fresh random passwords, for `kubectl apply -f -`.
# Nothing of it is kept: run it once (a second run would lock the functions out of their stores).
# Production takes them from a vault: knative/overlays/prod/external-secrets.yaml.
set -eu
new() { printf 'k%s' "$(openssl rand -hex 24)"; }  # NATS reads a bare word that begins with a letter
pg=$(new) valkey=$(new) nats=$(new) browser=$(new) s3=$(new)
cat <<YAML
apiVersion: v1
kind: Secret
metadata: {name: kandle-servers, namespace: kandle}
stringData:
  POSTGRES_PASSWORD: $pg
  VALKEY_PASSWORD: $valkey
  NATS_PASSWORD: $nats
  NATS_BROWSER_PASSWORD: $browser
  NATS_CHANNEL_PASSWORD: $(new)
  NATS_SYS_PASSWORD: $(new)
  MINIO_ROOT_PASSWORD: $(new)
---
apiVersion: v1
kind: Secret
metadata: {name: kandle-stores, namespace: kandle}
stringData:
  DATABASE_URL: postgresql://kandle:$pg@postgres.kandle.svc.cluster.local:5432/kandle
  REDIS_URL: redis://:$valkey@valkey.kandle.svc.cluster.local:6379/0
  NATS_URL: nats://kandle:$nats@nats.kandle.svc.cluster.local:4222
  NATS_BROWSER_URL: ws://browser:$browser@${NATS_BROWSER_HOST:-127.0.0.1:8443}
  S3_ENDPOINT_URL: http://minio.kandle.svc.cluster.local:9000
  AWS_ACCESS_KEY_ID: kandle
  AWS_SECRET_ACCESS_KEY: $s3
YAML
