# METADATA
# title: The registry of projects
# description: |
#   data.facts.projects is keyed by the resource's key, with the namespace in
#   front where the key does not begin with it already: what terraform/net is in
#   acme/infra stands as acme/infra/terraform/net.
# scope: package
package lockgate.lib.registry

default qualified := false

qualified if input.resource.namespace in {"", "default"}

qualified if startswith(input.resource.key, concat("", [input.resource.namespace, "/"]))

name := input.resource.key if qualified

name := concat("/", [input.resource.namespace, input.resource.key]) if not qualified

project := data.facts.projects[name]
