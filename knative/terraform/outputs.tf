output "namespace" {
  description = "Namespace of Kandle."
  value       = helm_release.kandle.namespace
}
