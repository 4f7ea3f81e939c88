variable "image" {
  description = "The image of knative/Containerfile, with tag or digest."
  type        = string
}

variable "namespace" {
  description = "Where Kandle stands; the module makes it."
  type        = string
  default     = "kandle"
}

variable "values" {
  description = "Further values of knative/chart, over its defaults."
  type        = any
  default     = {}
}
