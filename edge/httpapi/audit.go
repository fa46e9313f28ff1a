package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

func unwrapWriter(hc huma.Context) http.ResponseWriter {
	_, w := humago.Unwrap(hc)
	return w
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func eventOf(e audit.Event) v1.AuditEvent {
	spec, _ := audit.SpecOf(e.Type)
	out := v1.AuditEvent{
		ID: string(e.ID), Time: e.Time, Type: string(e.Type), Title: spec.Title, Category: spec.Category, Actor: v1.AuditParty(e.Actor), Target: v1.AuditParty(e.Target),
		OrgID: string(e.Org), SourceIP: e.SourceIP, RequestID: e.RequestID, Metadata: e.Metadata, LeafHash: hex.EncodeToString(e.LeafHash[:]),
	}
	if out.Metadata == nil {
		out.Metadata = map[string]any{}
	}
	if e.LeafIndex >= 0 {
		out.LeafIndex = &e.LeafIndex
	}
	return out
}

// LogScope chooses between the organization's log and the instance's own.
type LogScope struct {
	Instance bool `query:"instance" doc:"The instance's own log, for its administrators"`
}

func (a *API) listEvents(ctx context.Context, actor pam.Actor, in *struct {
	Page
	LogScope
	Type     string    `query:"type" maxLength:"64"`
	Category string    `query:"category" maxLength:"64"`
	ActorID  string    `query:"actor_id" maxLength:"64"`
	TargetID string    `query:"target_id" maxLength:"64"`
	SourceIP string    `query:"source_ip" maxLength:"64"`
	Q        string    `query:"q" maxLength:"256" doc:"Only events in which this stands, in upper or lower case. A page looks at 10,000 events, so it may be short or empty and yet have a next one"`
	From     time.Time `query:"from" doc:"At or after, RFC 3339"`
	To       time.Time `query:"to" doc:"Before, RFC 3339"`
},
) (*listOf[v1.AuditEvent], error) {
	before, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, more, err := a.Audit.List(ctx, actor, in.Instance, audit.Filter{
		Type: audit.Type(in.Type), Category: in.Category, ActorID: in.ActorID, TargetID: in.TargetID, SourceIP: in.SourceIP, Text: in.Q, From: in.From, To: in.To,
		Before: pam.EventID(before), Limit: in.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	query := given("type", in.Type, "category", in.Category, "actor_id", in.ActorID, "target_id", in.TargetID, "source_ip", in.SourceIP, "q", in.Q, "from", stamp(in.From), "to", stamp(in.To))
	if in.Instance {
		query.Set("instance", "true")
	}
	out := newList("/audit-events", query, in.Page, rows, func(e audit.Event) string { return string(e.ID) }, eventOf)
	if out.Link == "" && more != "" {
		out.Link = link("/audit-events", query, in.limit(), string(more))
	}
	return out, nil
}

func (a *API) getEvent(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	LogScope
},
) (*answer[v1.AuditEvent], error) {
	e, err := a.Audit.Event(ctx, actor, in.Instance, pam.EventID(in.ID))
	return reply(eventOf(e), err)
}

func (a *API) exportEvents(ctx context.Context, actor pam.Actor, in *struct {
	LogScope
	Format string    `query:"format" enum:"ndjson,csv" doc:"Default ndjson"`
	From   time.Time `query:"from" doc:"At or after, RFC 3339"`
	To     time.Time `query:"to" doc:"Before, RFC 3339"`
},
) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		media := "application/x-ndjson"
		if in.Format == "csv" {
			media = "text/csv; charset=utf-8"
		}
		hc.SetHeader("Content-Type", media)
		a.stream(ctx, hc, func(w *firstByte) error {
			return a.Audit.Export(ctx, actor, audit.ExportOptions{Format: in.Format, From: in.From, To: in.To, Instance: in.Instance}, w)
		})
	}}, nil
}

func (a *API) getCheckpoint(ctx context.Context, actor pam.Actor, in *LogScope) (*answer[v1.Checkpoint], error) {
	c, key, err := a.Audit.SignedCheckpoint(ctx, actor, in.Instance)
	if err != nil {
		return nil, err
	}
	public, err := a.Audit.PublicKey(ctx, actor, in.Instance)
	return reply(v1.Checkpoint{Note: c.Note, Key: key, PublicKey: base64.StdEncoding.EncodeToString(public), TreeSize: c.Size, RootHash: base64.StdEncoding.EncodeToString(c.Root[:])}, err)
}

func (a *API) getProof(ctx context.Context, actor pam.Actor, in *struct {
	LogScope
	LeafIndex int64 `query:"leaf_index" default:"-1" doc:"For an inclusion proof: the event's leaf"`
	FromSize  int64 `query:"from_size" default:"-1" doc:"For a consistency proof: the size of the earlier checkpoint"`
	TreeSize  int64 `query:"tree_size" minimum:"0" doc:"Of the checkpoint; 0: the log as it stands"`
},
) (*answer[v1.Proof], error) {
	switch {
	case in.LeafIndex >= 0 && in.FromSize < 0:
		p, err := a.Audit.InclusionProof(ctx, actor, in.Instance, in.LeafIndex, in.TreeSize)
		return reply(v1.Proof{Kind: "inclusion", LeafIndex: &in.LeafIndex, LeafHash: hex.EncodeToString(p.Leaf[:]), TreeSize: p.Size, Hashes: encodeHashes(p.Hashes), Event: string(p.Event)}, err)
	case in.FromSize >= 0 && in.LeafIndex < 0:
		hashes, size, err := a.Audit.ConsistencyProof(ctx, actor, in.Instance, in.FromSize, in.TreeSize)
		return reply(v1.Proof{Kind: "consistency", FromSize: &in.FromSize, TreeSize: size, Hashes: encodeHashes(hashes)}, err)
	}
	var ps pam.Problems
	ps.Add("leaf_index", "give either leaf_index or from_size")
	return nil, ps.Err("prove")
}

func encodeHashes(hs []audit.Hash) []string {
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out
}
