package pam

import "vaultpam/internal/naming"

// maxPage is how many rows one page of a list holds: a thousand, and one that
// shows that there is a next page.
const maxPage = 1001

// PageSize is how many rows a page holds for which limit were asked: maxPage
// when limit is not from 1 to maxPage.
func PageSize(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}

// ReadCursor reads a place in a list that is sorted by name; "" is the
// beginning. A text that no such list gave out is Invalid.
func ReadCursor(op, text string) (naming.Cursor, error) {
	c, ok := naming.ParseCursor(text)
	if !ok {
		return naming.Cursor{}, BadCursor(op)
	}
	return c, nil
}

// BadCursor refuses a cursor of a list, whatever is wrong with it.
func BadCursor(op string) error {
	var ps Problems
	ps.Add("cursor", "is not one that this list gave out")
	return ps.Err(op)
}
