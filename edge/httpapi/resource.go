package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/resource"
)

func resourceOf(r resource.Resource) v1.Resource {
	in := resourceIn(r)
	return v1.Resource{
		ID: string(r.ID), Name: in.Name, Slug: in.Slug, Type: in.Type, Host: in.Host, Port: in.Port, ConnectorIDs: in.ConnectorIDs,
		HostKeys: in.HostKeys, HostKeyPolicy: in.HostKeyPolicy, TLS: in.TLS, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, ConfirmationID: string(r.Pending),
	}
}

// resourceIn is what a client would write to leave r as it is.
func resourceIn(r resource.Resource) v1.ResourceIn {
	out := v1.ResourceIn{
		Name: r.Name, Slug: r.Slug, Type: string(r.Type), Host: r.Host, Port: r.Port, ConnectorIDs: make([]string, 0, len(r.ConnectorIDs)),
		HostKeys: append([]string{}, r.HostKeys...), HostKeyPolicy: string(r.HostKeyPolicy), TLS: v1.TLS(r.TLS),
	}
	for _, id := range r.ConnectorIDs {
		out.ConnectorIDs = append(out.ConnectorIDs, string(id))
	}
	return out
}

func resourceSettings(in v1.ResourceIn) resource.Settings {
	out := resource.Settings{
		Name: in.Name, Slug: in.Slug, Type: pam.Protocol(in.Type), Host: in.Host, Port: in.Port,
		HostKeys: in.HostKeys, HostKeyPolicy: resource.HostKeyPolicy(in.HostKeyPolicy), TLS: resource.TLS(in.TLS),
	}
	for _, id := range in.ConnectorIDs {
		out.ConnectorIDs = append(out.ConnectorIDs, pam.ConnectorID(id))
	}
	return out
}

func resourceReply(r resource.Resource, err error) (*versioned[v1.Resource], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.Resource]{etag(r.Version), resourceOf(r)}, nil
}

func (a *API) listResources(ctx context.Context, actor pam.Actor, in *struct {
	Sorted
	Type string `query:"type" enum:"ssh,postgresql,mysql,redis,mssql,mongodb,http,kubernetes,rdp,vnc,ldap"`
},
) (*listOf[v1.Resource], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Resources.List(ctx, actor, resource.Filter{Text: in.Q, Type: pam.Protocol(in.Type), Order: naming.Order(in.Sort)}, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/resources", in.query("type", in.Type), in.Page, rows, resource.Resource.Cursor, resourceOf), nil
}

func (a *API) postResource(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.Resource], error) {
	body, err := decode[v1.ResourceIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	return resourceReply(a.Resources.Create(ctx, actor, resourceSettings(body)))
}

func (a *API) getResource(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Resource], error) {
	return resourceReply(a.Resources.ByID(ctx, actor, pam.ResourceID(in.ID)))
}

func (a *API) patchResource(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.Resource], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Resources.ByID(ctx, actor, pam.ResourceID(in.ID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.ResourceIn](a, resourceIn(old), in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	return resourceReply(a.Resources.Update(ctx, actor, old.ID, version, resourceSettings(body)))
}

func (a *API) deleteResource(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Resources.Delete(ctx, actor, pam.ResourceID(in.ID), version)
}

func (a *API) probeResource(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Probe], error) {
	p, err := a.Broker.Probe(ctx, actor, pam.ResourceID(in.ID))
	return reply(v1.Probe{Reachable: p.Reachable, HostKey: p.HostKey, Pinned: p.Pinned, Error: p.Problem}, err)
}
