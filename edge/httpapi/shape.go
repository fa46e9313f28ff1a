package httpapi

import "time"

// Inputs and outputs that many routes share.
type (
	nothing struct{}
	ByID    struct {
		ID string `path:"id" maxLength:"64"`
	}
	// Raw is a body that the handler decodes itself, so that a merge patch
	// and a null mean what they should.
	Raw struct {
		RawBody []byte `contentType:"application/json"`
	}
	change struct {
		ByID
		Raw
		IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag that was read"`
	}
	removal struct {
		ByID
		IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag that was read"`
	}
	answer[T any]    struct{ Body T }
	versioned[T any] struct {
		ETag string `header:"ETag"`
		Body T
	}
	withBody[T any] struct{ Body T }
)

func reply[T any](v T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{v}, nil
}

// moment is nil for no time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
