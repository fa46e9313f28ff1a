package scim

import (
	"context"
	"net/http"

	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

func (h *Handler) listGroups(ctx context.Context, q *request) (answer, error) {
	s, err := q.search()
	if err != nil {
		return answer{}, err
	}
	total, rows, err := h.groups(ctx, q.feed, s)
	return s.answer(total, rows), err
}

func (h *Handler) searchGroups(ctx context.Context, q *request) (answer, error) {
	s, err := q.searchBody()
	if err != nil {
		return answer{}, err
	}
	total, rows, err := h.groups(ctx, q.feed, s)
	return s.answer(total, rows), err
}

func (q *request) group() pam.GroupID { return pam.GroupID(q.PathValue("id")) }

// showGroup reads a group and answers with it.
func (h *Handler) showGroup(ctx context.Context, q *request, status int, id pam.GroupID) (answer, error) {
	show, err := q.projection()
	if err != nil {
		return answer{}, err
	}
	g, err := h.Provisioning.Group(ctx, q.feed, id, show.wants("members"))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: status, body: show.apply(h.groupOf(g)), tag: groupTag(g)}
	if status == http.StatusCreated {
		a.location = h.location("Groups", string(g.ID))
	}
	return a, nil
}

func (h *Handler) getGroup(ctx context.Context, q *request) (answer, error) {
	return h.showGroup(ctx, q, http.StatusOK, q.group())
}

func (h *Handler) postGroup(ctx context.Context, q *request) (answer, error) {
	body, err := q.body()
	if err != nil {
		return answer{}, err
	}
	name, externalID, members, err := groupIn(body)
	if err != nil {
		return answer{}, err
	}
	if _, err := q.projection(); err != nil {
		return answer{}, err
	}
	g, err := h.Provisioning.AddGroup(ctx, q.feed, name, externalID, members)
	if err != nil {
		return answer{}, err
	}
	return h.showGroup(ctx, q, http.StatusCreated, g.ID)
}

// putGroup replaces a group: who is not named is not in it any more.
func (h *Handler) putGroup(ctx context.Context, q *request) (answer, error) {
	body, err := q.body()
	if err != nil {
		return answer{}, err
	}
	name, externalID, members, err := groupIn(body)
	if err != nil {
		return answer{}, err
	}
	if _, err := q.projection(); err != nil {
		return answer{}, err
	}
	err = h.Provisioning.ChangeGroup(ctx, q.feed, q.group(), q.groupVersion(), false, func(provisioning.Group) (provisioning.GroupEdit, error) {
		return provisioning.GroupEdit{Name: &name, ExternalID: &externalID, All: true, Add: members}, nil
	})
	if err != nil {
		return answer{}, err
	}
	return h.showGroup(ctx, q, http.StatusOK, q.group())
}

// patchGroup answers 204, as section 3.5.2 allows: a group may be large, and
// whoever changes it has not asked who is in it.
func (h *Handler) patchGroup(ctx context.Context, q *request) (answer, error) {
	body, err := q.body()
	if err != nil {
		return answer{}, err
	}
	ops, err := parsePatch(body)
	if err != nil {
		return answer{}, err
	}
	show, err := q.projection()
	if err != nil {
		return answer{}, err
	}
	patch := groupPatch{ops: ops, handler: h}
	if err := h.Provisioning.ChangeGroup(ctx, q.feed, q.group(), q.groupVersion(), patch.needsMembers(), patch.edit); err != nil {
		return answer{}, err
	}
	if len(show.only)+len(show.without) == 0 {
		return answer{}, nil
	}
	return h.showGroup(ctx, q, http.StatusOK, q.group())
}

func (h *Handler) deleteGroup(ctx context.Context, q *request) (answer, error) {
	return answer{}, h.Provisioning.RemoveGroup(ctx, q.feed, q.group(), q.groupVersion())
}
