package broker

import (
	"context"
	"errors"
	"fmt"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/recording"
)

// FileAct is what was done to a file at the target, over a protocol of which
// each step was read.
type FileAct struct {
	What string // "upload", "download", "remove", "rename", …
	Path string // as the client named it
	To   string // the second name, where there are two
	// Of transfers: the bytes that passed, where in the file they begin, and
	// their SHA-256 in lower-case hex, "" where they did not pass in their
	// order. Complete says that they are the file from its first byte to its
	// last.
	Bytes    int64
	From     int64
	SHA256   string
	Complete bool
}

// Transfer says whether the act moved content, and did not only change what is
// there.
func (a FileAct) Transfer() bool { return a.What == Upload || a.What == Download }

// The acts that move content.
const (
	Upload   = "upload"
	Download = "download"
)

// record tells the recording.
func (a FileAct) record(rec Recorder) error {
	switch {
	case a.To != "":
		return rec.Marker("file", fmt.Sprintf("%s %q to %q", a.What, a.Path, a.To))
	case !a.Transfer():
		return rec.Marker("file", fmt.Sprintf("%s %q", a.What, a.Path))
	}
	f := recording.File{Direction: a.What, Path: a.Path, Size: a.Bytes, SHA256: a.SHA256, From: a.From}
	switch {
	case a.SHA256 == "":
		f.Error = "its parts did not pass in their order"
	case !a.Complete:
		f.Error = "not the whole file"
	}
	return rec.File(f)
}

// NoteFile notes an act in the recording and in the log. It is durable in the
// log when it returns nil: only then may the client hear that it was done.
func (l *Live) NoteFile(ctx context.Context, a FileAct) error {
	lost := a.record(l.Rec) // the log has it all the same
	t, s := audit.FileChanged, l.Session
	m := map[string]any{
		"act": a.What, "path": a.Path, "resource_id": string(s.ResourceID), "account_id": string(s.AccountID),
		"safe_id": string(s.SafeID), "safe": l.safe.Name,
	}
	if a.To != "" {
		m["to"] = a.To
	}
	if a.Transfer() {
		t = audit.FileTransferred
		m["bytes"], m["complete"] = a.Bytes, a.Complete
		if a.SHA256 != "" {
			m["sha256"] = a.SHA256
		}
		if a.From > 0 {
			m["from"] = a.From
		}
	}
	e := l.broker.Scribe.Entry(l.actor, t, audit.Party{Type: "session", ID: string(s.ID)}, m)
	return errors.Join(lost, pam.Wrap("note file", l.broker.Audit.Append(ctx, s.Org, e)))
}
