terraform {
  backend "http" {
    # Where the state is kept: anything that speaks Terraform's http protocol.
    address = "http://127.0.0.1:7481/vpc"

    # Who may change it: /terraform/{namespace}/{state}, with %2F in the namespace.
    lock_address   = "http://127.0.0.1:7480/terraform/acme%2Finfra/vpc"
    unlock_address = "http://127.0.0.1:7480/terraform/acme%2Finfra/vpc"
  }
}

variable "seconds" {
  description = "How long an apply takes, so that a second one can meet it."
  type        = number
  default     = 0
}

resource "terraform_data" "vpc" {
  triggers_replace = timestamp()

  provisioner "local-exec" {
    command = "sleep ${var.seconds}"
  }
}
