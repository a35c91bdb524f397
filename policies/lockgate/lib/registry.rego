# METADATA
# title: The registry of projects
# description: |
#   data.facts.projects is keyed by the resource's key, with the namespace in
#   front where the key does not begin with it already: what terraform/net is in
#   acme/infra stands as acme/infra/terraform/net.
# scope: package
package lockgate.lib.registry

# METADATA
# title: Keys of no namespace in particular
# labels: {rule: registry.qualified.default}
qualified if input.resource.namespace in {"", "default"}

# METADATA
# title: Keys that begin with their namespace
# labels: {rule: registry.qualified.prefix}
qualified if startswith(input.resource.key, concat("", [input.resource.namespace, "/"]))

# METADATA
# title: The name of a key that stands for itself
# labels: {rule: registry.name.key}
name := input.resource.key if qualified

# METADATA
# title: The name of a key within its namespace
# labels: {rule: registry.name.namespace}
name := concat("/", [input.resource.namespace, input.resource.key]) if not qualified

# METADATA
# title: The project of the resource
# labels: {rule: registry.project}
project := data.facts.projects[name]
