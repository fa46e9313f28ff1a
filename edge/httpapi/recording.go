package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/recording"
)

func recordingOf(r recording.Recording) v1.Recording {
	return v1.Recording{
		ID: string(r.ID), SessionID: string(r.SessionID), Status: string(r.Status), Format: r.Format, DurationMS: r.DurationMS, SizeBytes: r.SizeBytes,
		RootHash: r.RootHash, StartedAt: r.StartedAt, ExpiresAt: moment(r.ExpiresAt), UserID: string(r.UserID), SafeID: string(r.SafeID),
		ResourceID: string(r.ResourceID), AccountID: string(r.AccountID), Error: r.Problem,
	}
}

func (a *API) listRecordings(ctx context.Context, actor pam.Actor, in *struct {
	Span
	SessionID string `query:"session_id" maxLength:"64"`
	Status    string `query:"status" enum:"in_progress,completed,error"`
},
) (*listOf[v1.Recording], error) {
	before, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Recordings.List(ctx, actor, recording.Filter{
		UserID: pam.UserID(in.UserID), ResourceID: pam.ResourceID(in.ResourceID), SafeID: pam.SafeID(in.SafeID), SessionID: pam.SessionID(in.SessionID),
		Status: recording.Status(in.Status), From: in.From, Until: in.To, MinMS: in.MinMS, MaxMS: in.MaxMS,
		Before: pam.RecordingID(before), Limit: in.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	query := given(in.query("session_id", in.SessionID, "status", in.Status)...)
	out := newList("/recordings", query, in.Page, rows, func(r recording.Recording) string { return string(r.ID) }, recordingOf)
	return out, a.nameRecordings(ctx, actor.Org, out.Body)
}

// nameRecordings fills in who and what the ids are, for people.
func (a *API) nameRecordings(ctx context.Context, org pam.OrgID, rows []v1.Recording) error {
	return nameRows(ctx, a.Labels, org, rows, func(r *v1.Recording) []label {
		return []label{{r.UserID, &r.UserEmail}, {r.SafeID, &r.SafeName}, {r.ResourceID, &r.ResourceName}, {r.AccountID, &r.AccountName}}
	})
}

func (a *API) getRecording(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Recording], error) {
	r, err := a.Recordings.ByID(ctx, actor, pam.RecordingID(in.ID))
	if err != nil {
		return nil, err
	}
	rows := []v1.Recording{recordingOf(r)}
	err = a.nameRecordings(ctx, actor.Org, rows)
	return reply(rows[0], err)
}

// getContent answers with the stream itself. What fails after its first byte
// can only cut it short, which the client sees as a broken transfer.
func (a *API) getContent(ctx context.Context, actor pam.Actor, in *ByID) (*huma.StreamResponse, error) {
	reader, err := a.Recordings.Open(ctx, actor, pam.RecordingID(in.ID))
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer reader.Close()
		hc.SetHeader("Content-Type", "application/x-asciicast")
		a.stream(ctx, hc, func(w *firstByte) error { return reader.WriteAsciicast(ctx, w) })
	}}, nil
}

// firstByte notes whether anything was written yet, and gives each part of a
// long answer a time of its own: a client that stops reading is let go.
type firstByte struct {
	ctx   huma.Context
	begun bool
}

func (f *firstByte) Write(p []byte) (int, error) {
	w := unwrapWriter(f.ctx)
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	if !f.begun {
		f.begun = true
		f.ctx.SetStatus(http.StatusOK)
	}
	return w.Write(p)
}

// stream runs write; an error before the first byte is answered as such, one
// after it breaks the connection, so that nobody takes a part for the whole.
func (a *API) stream(ctx context.Context, hc huma.Context, write func(*firstByte) error) {
	c := callOf(ctx)
	out := &firstByte{ctx: hc}
	err := write(out)
	switch {
	case err == nil && !out.begun:
		hc.SetStatus(http.StatusOK)
	case err == nil:
	case !out.begun:
		writeError(unwrapWriter(hc), a.refusal(c, err))
	default:
		if !errors.Is(err, context.Canceled) {
			a.Log.Error("answer cut short", "request_id", c.id, "route", c.route, "error", err)
		}
		c.broken = true
	}
}

func (a *API) listChunks(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.RecordingChunks], error) {
	e, err := a.Recordings.Evidence(ctx, actor, pam.RecordingID(in.ID))
	if err != nil {
		return nil, err
	}
	out := v1.RecordingChunks{
		RecordingID: in.ID, Status: string(e.Recording.Status), Header: base64.StdEncoding.EncodeToString(e.Header), RootHash: e.Recording.RootHash,
		Chunks: make([]v1.RecordingChunk, len(e.Chunks)), OrganizationKey: base64.StdEncoding.EncodeToString(e.OrgKey),
	}
	for i, c := range e.Chunks {
		out.Chunks[i] = v1.RecordingChunk{N: int64(i), Size: c.Size, FromUS: int64(c.From), UntilUS: int64(c.Until), Hash: hex.EncodeToString(c.Hash[:])}
	}
	if e.Statement != nil {
		out.Seal = &v1.RecordingSeal{
			Statement: string(e.Statement), Signature: base64.StdEncoding.EncodeToString(e.Signature.Sig), PublicKey: base64.StdEncoding.EncodeToString(e.Signature.PublicKey),
		}
	}
	return &answer[v1.RecordingChunks]{out}, nil
}

// chunkAnswer is a part of the file itself.
type chunkAnswer struct {
	ContentType string `header:"Content-Type"`
	Proof       string `header:"X-Chunk-Proof" doc:"Hashes from the chunk up to the root, base64, separated by commas; absent before the end, and for an only chunk"`
	Count       string `header:"X-Chunk-Count" doc:"Leaves of the tree that the proof is about; absent before the end"`
	Body        []byte
}

func (a *API) getChunk(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	N int64 `path:"n" minimum:"0"`
},
) (*chunkAnswer, error) {
	p, err := a.Recordings.Chunk(ctx, actor, pam.RecordingID(in.ID), in.N)
	if err != nil {
		return nil, err
	}
	return &chunkAnswer{ContentType: "application/octet-stream", Proof: strings.Join(encodeHashes(p.Path), ","), Count: number(p.Count), Body: p.Bytes}, nil
}

func (a *API) postRecordingKey(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.RecordingKey], error) {
	key, err := a.Recordings.Key(ctx, actor, pam.RecordingID(in.ID))
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return &answer[v1.RecordingKey]{v1.RecordingKey{Key: base64.StdEncoding.EncodeToString(key.Expose())}}, nil
}

func (a *API) verifyRecording(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.RecordingVerification], error) {
	r, err := a.Recordings.Verify(ctx, actor, pam.RecordingID(in.ID))
	return reply(v1.RecordingVerification{Verified: r.Verified, VerifiedUntilMS: r.VerifiedUntilMS, Problems: append([]string{}, r.Problems...)}, err)
}
