package scim

import (
	"context"
	"net/http"

	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

func (h *Handler) listUsers(ctx context.Context, q *request) (answer, error) {
	s, err := q.search()
	if err != nil {
		return answer{}, err
	}
	total, rows, err := h.users(ctx, q.feed, s)
	return s.answer(total, rows), err
}

func (h *Handler) searchUsers(ctx context.Context, q *request) (answer, error) {
	s, err := q.searchBody()
	if err != nil {
		return answer{}, err
	}
	total, rows, err := h.users(ctx, q.feed, s)
	return s.answer(total, rows), err
}

// showUser answers with a user.
func (h *Handler) showUser(ctx context.Context, q *request, status int, u provisioning.User) (answer, error) {
	show, err := q.projection()
	if err != nil {
		return answer{}, err
	}
	rows, err := h.usersOf(ctx, q.feed, []provisioning.User{u}, show.wants("groups"))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: status, body: show.apply(rows[0]), tag: userTag(u)}
	if status == http.StatusCreated {
		a.location = h.location("Users", string(u.ID))
	}
	return a, nil
}

func (h *Handler) getUser(ctx context.Context, q *request) (answer, error) {
	u, err := h.Provisioning.User(ctx, q.feed, q.user())
	if err != nil {
		return answer{}, err
	}
	return h.showUser(ctx, q, http.StatusOK, u)
}

func (q *request) user() pam.UserID { return pam.UserID(q.PathValue("id")) }

func (h *Handler) postUser(ctx context.Context, q *request) (answer, error) {
	body, err := q.body()
	if err != nil {
		return answer{}, err
	}
	p, err := profileOf(body, provisioning.Profile{Active: true})
	if err != nil {
		return answer{}, err
	}
	if _, err := q.projection(); err != nil { // before anything is done
		return answer{}, err
	}
	u, err := h.Provisioning.AddUser(ctx, q.feed, p)
	if err != nil {
		return answer{}, err
	}
	return h.showUser(ctx, q, http.StatusCreated, u)
}

func (h *Handler) putUser(ctx context.Context, q *request) (answer, error) {
	body, err := q.body()
	if err != nil {
		return answer{}, err
	}
	return h.changeUser(ctx, q, func(u provisioning.User) (provisioning.Profile, error) {
		// Who is suspended does not come back because nothing was said of it.
		return profileOf(body, provisioning.Profile{Active: u.Active})
	})
}

func (h *Handler) patchUser(ctx context.Context, q *request) (answer, error) {
	body, err := q.body()
	if err != nil {
		return answer{}, err
	}
	ops, err := parsePatch(body)
	if err != nil {
		return answer{}, err
	}
	return h.changeUser(ctx, q, func(u provisioning.User) (provisioning.Profile, error) {
		p := u.Profile
		err := patchUser(&p, ops)
		return p, err
	})
}

func (h *Handler) changeUser(ctx context.Context, q *request, edit func(provisioning.User) (provisioning.Profile, error)) (answer, error) {
	if _, err := q.projection(); err != nil {
		return answer{}, err
	}
	u, err := h.Provisioning.ChangeUser(ctx, q.feed, q.user(), q.ifMatch(), edit)
	if err != nil {
		return answer{}, err
	}
	return h.showUser(ctx, q, http.StatusOK, u)
}

func (h *Handler) deleteUser(ctx context.Context, q *request) (answer, error) {
	return answer{}, h.Provisioning.RemoveUser(ctx, q.feed, q.user(), q.ifMatch())
}
