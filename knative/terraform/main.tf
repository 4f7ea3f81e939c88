# Kandle on an existing cluster that has Knative with the NATS JetStream channel (docs/deploy.md). The
# providers' connection to the cluster is the caller's.
resource "kubernetes_namespace_v1" "kandle" {
  metadata {
    name = var.namespace
    labels = {
      "pod-security.kubernetes.io/enforce"         = "restricted"
      "pod-security.kubernetes.io/enforce-version" = "latest"
    }
  }
}

resource "helm_release" "kandle" {
  name      = "kandle"
  namespace = kubernetes_namespace_v1.kandle.metadata[0].name
  chart     = "${path.module}/../chart"
  wait      = false # the bridges become Ready after knative/config-nats.sh (docs/deploy.md)
  values    = [yamlencode(merge({ image = var.image }, var.values))]
}
