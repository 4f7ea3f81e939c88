output "namespace" {
  description = "Where Kandle stands."
  value       = helm_release.kandle.namespace
}
