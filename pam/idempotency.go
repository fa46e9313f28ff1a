package pam

// IdempotentAnswer is what was answered to a request that carried an
// Idempotency-Key, kept so that a repeat gets the same.
type IdempotentAnswer struct {
	Status      int
	ContentType string
	Body        []byte // nil where the answer carried a secret
	ObjectID    string // the id of what was made, if anything was
}
