package app

// Help says in a line what each key of the configuration is, for --help and for
// editors that read the JSON schema.
func Help() map[string]string {
	return map[string]string{ //nolint:gosec // names of settings about credentials, none of them is one
		"http.listen":               "address to listen on, host:port; port 0 picks a free one",
		"http.tls.cert_file":        "PEM file with the certificate chain; switches TLS on",
		"http.tls.key_file":         "PEM file with the certificate's key",
		"http.tls.client_ca_file":   "PEM file with authorities whose client certificates authenticate a subject",
		"http.max_body":             "largest body of a request, such as 512KiB",
		"http.read_timeout":         "time to read one request",
		"http.shutdown_grace":       "time for calls under way to finish when the gateway stops",
		"auth.tokens_file":          "YAML list of {sha256, subject, teams, roles}; followed while running",
		"auth.jwt.issuer":           "issuer that JWTs must name",
		"auth.jwt.audience":         "audience that JWTs must name",
		"auth.jwt.jwks_url":         "where the issuer's keys are; switches JWTs on",
		"auth.jwt.claims.subject":   "claim with the subject's id",
		"auth.jwt.claims.name":      "claim with the subject's name",
		"auth.jwt.claims.teams":     "claim with the subject's teams; dots reach into objects",
		"auth.jwt.claims.roles":     "claim with the subject's roles; dots reach into objects",
		"auth.insecure":             "allow callers without authentication on an address that others can reach",
		"rate_limit.per_subject":    "calls one subject may make, such as 1000/s or 600/m; off for no limit",
		"rate_limit.burst":          "calls one subject may make at once",
		"backend.url":               "where the lock table is: file:PATH, memory: to keep nothing, or Redis: redis://host, redis+sentinel://hosts/master, redis+cluster://hosts, with rediss for TLS",
		"backend.operation_timeout": "time that one call of the store usually gets",
		"backend.key_prefix":        "of every key in Redis",
		"backend.durability":        "in Redis: fast answers when the master has a step, replicated when replicas have it too",
		"backend.replicas":          "replicas that must have a step, with durability replicated",

		"orchestrator.worker_count":        "workers that hand batches to the store",
		"orchestrator.request_buffer_size": "calls that may wait for a worker; beyond: 429",
		"orchestrator.batch_size":          "steps that a worker hands to the store at once",

		"queue.max_queue_size":     "requests that may wait for one resource",
		"queue.aging":              "wait that is worth one point of priority; strict: none is; 0s: first come, first served",
		"queue.offer_timeout":      "time for an open call to confirm an offer",
		"queue.poll_offer_timeout": "time for a caller that polls to confirm an offer",
		"queue.waiter_grace":       "time a place is kept after its call broke",
		"queue.max_wait":           "longest wait",
		"queue.max_ttl":            "longest lease; 0s: locks may be held until they are released",

		"deadlock.mode":                     "detect: resolve deadlocks when they form; prevent: refuse the request that closes one; off: waits time out",
		"deadlock.victim_policy":            "who gives way: lowest_priority, youngest, fifo, lifo, random, least_work, most_blocking, adaptive or wasm:EXTENSION",
		"deadlock.max_victimizations":       "losses after which an owner is spared unless all are",
		"deadlock.sweep_interval":           "time between two looks at everybody who waits, the safety net",
		"deadlock.max_per_owner_per_minute": "deadlocks an owner may close within a minute before it is refused for a while; 0: no limit",

		"policy.dir":                           "folder with *.rego and data.json files; followed while running",
		"policy.bundle.url":                    "OPA bundle instead of policy.dir: https://…, http://… or file:///path; asked again while running",
		"policy.bundle.interval":               "time between two looks at the bundle",
		"policy.bundle.verify_key_file":        "PEM public key, RSA or P-256, that bundles must be signed with",
		"policy.shadow.dir":                    "folder of candidate policies that are asked too, logged and never obeyed",
		"policy.shadow.bundle.url":             "bundle of candidate policies",
		"policy.shadow.bundle.interval":        "time between two looks at the candidate's bundle",
		"policy.shadow.bundle.verify_key_file": "PEM public key that the candidate's bundles must be signed with",
		"policy.cache_dir":                     "folder for the policies in force, so that a restart decides as before; empty: beside the lock table's file if they are a bundle",
		"policy.profile":                       "shipped policies to use without policy.dir and policy.bundle.url: open",
		"policy.budget":                        "time for one evaluation",
		"policy.enforcement":                   "deny, warn or shadow by policy, such as freeze: warn",
		"policy.may_grant":                     "organisations whose own policies may grant",
		"policy.decision_log.entries":          "decisions kept in memory for /v1/decisions",
		"policy.decision_log.mask":             "JSON pointers below /input and /result, /requested_by or /error: what nobody may read in the decision log",
		"policy.decision_log.file.path":        "file for the decision log, one JSON document a line",
		"policy.decision_log.file.max_mb":      "size in MiB at which a new file begins",
		"policy.decision_log.file.keep":        "full files that stay, as PATH.1 and so on",
		"policy.decision_log.upload.url":       "where the decision log is posted, as gzipped JSON arrays in OPA's format",
		"policy.decision_log.upload.interval":  "time between two uploads",

		"events.retention": "how long events can be read again",

		"health.check_interval":    "time between two checks of a healthy component",
		"health.component_timeout": "time for one check, and to become healthy at start",
		"health.auto_restart":      "run a failed component again",

		"tracing.sample_ratio": "share of the traces begun here that are kept, 0 to 1; OTEL_* variables say where they go",

		"log.level":  "debug, info, warn or error; changed live by SIGHUP",
		"log.format": "text, json, or auto: text on a terminal",
	}
}
