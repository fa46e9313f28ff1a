package identity

// Watch has hook called around every hash that ps computes: it is told what
// the hash costs, and its result is called when it is there.
func (ps *Passwords) Watch(hook func(HashParams) (done func())) {
	derive := ps.derive
	ps.derive = func(password, salt []byte, p HashParams, size uint32) []byte {
		defer hook(p)()
		return derive(password, salt, p, size)
	}
}

// Waiting is how many callers stand in the queue for a hash.
func (ps *Passwords) Waiting() int { return int(ps.waiting.Load()) }

// QueueLength is how many may.
const QueueLength = queueLength
