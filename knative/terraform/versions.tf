terraform {
  required_version = ">= 1.5"
  required_providers {
    helm       = { source = "hashicorp/helm", version = ">= 2.12, < 4" }
    kubernetes = { source = "hashicorp/kubernetes", version = ">= 2.27, < 4" }
  }
}
