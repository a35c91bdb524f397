package wire

// The codes of problems; [ProblemType] and one of them make a problem's type.
const (
	CodeBadRequest           = "bad_request"            // 400
	CodeUnauthenticated      = "unauthenticated"        // 401
	CodeDenied               = "denied"                 // 403
	CodeNotFound             = "not_found"              // 404
	CodeMethodNotAllowed     = "method_not_allowed"     // 405
	CodeDeadlock             = "deadlock"               // 409
	CodeStaleToken           = "stale_token"            // 409
	CodeTooLarge             = "too_large"              // 413
	CodeUnsupportedMediaType = "unsupported_media_type" // 415
	CodeInvalid              = "invalid"                // 422
	CodeIdempotencyConflict  = "idempotency_conflict"   // 422
	CodeLocked               = "locked"                 // 423
	CodeRateLimited          = "rate_limited"           // 429
	CodeQueueFull            = "queue_full"             // 429
	CodeInternal             = "internal"               // 500
	CodeNotImplemented       = "not_implemented"        // 501
	CodeUnavailable          = "unavailable"            // 503
	CodePolicyError          = "policy_error"           // 503
	CodePolicyQuarantined    = "policy_quarantined"     // 503
)

// Headers of the API that net/http has no name for.
const (
	HeaderIdempotencyKey = "Idempotency-Key"
	HeaderRequestID      = "X-Request-Id"
	HeaderOnBehalfOf     = "Lockgate-On-Behalf-Of"
)
