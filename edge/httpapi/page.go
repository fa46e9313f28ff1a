package httpapi

import (
	"encoding/base64"
	"net/url"
	"strconv"

	"vaultpam/pam"
)

// maxPage is the default and the highest number of rows of a list.
const maxPage = 1000

// Page is what every list takes.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Default and most 1000"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"From the Link header of the page before"`
}

// Sorted is what lists of things with names take beside.
type Sorted struct {
	Page
	Q    string `query:"q" maxLength:"256" doc:"Only those in whose names this is, in upper or lower case"`
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at" doc:"Default name"`
}

// query is the parameters for the link to the next page.
func (s Sorted) query(more ...string) url.Values {
	return given(append([]string{"q", s.Q, "sort", s.Sort}, more...)...)
}

// given keeps the filters that were asked for, for the link to the next page.
func given(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// limit returns how many rows are wanted.
func (p Page) limit() int {
	if p.Limit == 0 {
		return maxPage
	}
	return p.Limit
}

// cursor decodes what link made.
func (p Page) cursor() (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return "", pam.BadCursor("read cursor")
	}
	return string(b), nil
}

// listOf is the answer of a list.
type listOf[T any] struct {
	Link string `header:"Link" doc:"The next page, if any: rel=\"next\""`
	Body []T
}

// newList turns up to limit+1 rows into a page: the row too many says that
// there is a next page, which starts after cursorOf(the last row shown).
func newList[S, T any](path string, query url.Values, p Page, rows []S, cursorOf func(S) string, shape func(S) T) *listOf[T] {
	out := &listOf[T]{Body: make([]T, 0, min(len(rows), p.limit()))}
	if n := p.limit(); len(rows) > n {
		rows = rows[:n]
		out.Link = link(path, query, n, cursorOf(rows[n-1]))
	}
	for _, row := range rows {
		out.Body = append(out.Body, shape(row))
	}
	return out
}

// link names the page after a cursor.
func link(path string, query url.Values, limit int, cursor string) string {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", strconv.Itoa(limit))
	query.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(cursor)))
	return "</api/v1" + path + "?" + query.Encode() + `>; rel="next"`
}
