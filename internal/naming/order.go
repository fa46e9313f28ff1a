package naming

// Order is an order of a list of things with names. The zero value is by name.
type Order string

// The orders. Ids sort by the time at which they were made.
const (
	ByName        Order = "name"
	ByNameDown    Order = "-name"
	ByCreated     Order = "created_at"
	ByCreatedDown Order = "-created_at"
)
