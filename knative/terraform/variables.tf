variable "image" {
  description = "The image of knative/Containerfile, with tag or digest."
  type        = string
}

variable "namespace" {
  description = "Namespace of Kandle; the module creates it."
  type        = string
  default     = "kandle"
}

variable "values" {
  description = "Values of knative/chart that override its defaults."
  type        = any
  default     = {}
}
