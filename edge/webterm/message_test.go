package webterm

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"type":"hello","ticket":"vpw_x.y","cols":80,"rows":24,"term":"xterm-256color"}`, `{"type":"resize","cols":1,"rows":1000}`,
		`{"type":"ack","bytes":65536}`, `{"type":"copied","bytes":5}`, `{"type":"ack","bytes":-1}`, `{"type":"ack","bytes":1e3}`, `{}`, `[]`, `null`, "\xff", `{"type":"exec"}`,
		`{"type":"ack"} {"type":"ack"}`, `{"type":"ack","Type":"hello"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil {
			if _, ok := errors.AsType[violation](err); !ok {
				t.Fatalf("another error: %v", err)
			}
			if m.Type != "" && !bytes.Contains(data, []byte(m.Type)) {
				t.Fatalf("%q gives %+v", data, m)
			}
			return
		}
		if _, known := requests[m.Type]; !known || m.Bytes < 0 || m.Cols < 0 || m.Cols > maxSide || m.Rows < 0 || m.Rows > maxSide || !termName(m.Term) || len(m.Ticket) > maxControl {
			t.Fatalf("%q gives %+v", data, m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > maxControl {
			return // an escape may be longer than what it stands for
		}
		if n, err := parse(again); err != nil || n != m {
			t.Fatalf("%q gives %+v, and that %+v %v", data, m, n, err)
		}
	})
}

func TestOnlyWhatNobodyTypesCountsAsPasted(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "a": false, "日本語": false, "\r": false, "\r\n": false, "ls\r": false, "ls\r\n": false, "\x1b[A": false, "\x1b[<0;120;40M": false,
		"\x1b]10;rgb:ffff/ffff/ffff\x1b\\": false, "\x1b[200~": true, "x\x1b[200~ls\x1b[201~": true, "a\rb": true, "a\nb\n": true, "\r\r": true, "\n\n": true,
		string(make([]byte, typed)): false, string(make([]byte, typed+1)): true,
	} {
		if got := pasted([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// Whatever is sent and acknowledged in whatever order, neither side holds more
// than its window, and nothing is lost or changed.
func TestFlowNeverExceedsTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := intake{limit: 64, wake: make(chan struct{}, 1)}
		out := outlet{limit: 64, wake: make(chan struct{}, 1)}
		var sent, read []byte
		var acked, shown int64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(1, 40).Draw(t, "n")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				data := bytes.Repeat([]byte{byte(len(sent))}, n)
				kept := bytes.Clone(data)
				allowed := int64(len(sent)+n)-acked <= in.limit
				if err := in.put(data); (err == nil) != allowed {
					t.Fatalf("%d bytes sent, %d acknowledged, %d more: %v", len(sent), acked, n, err)
				}
				if !allowed {
					return // the connection is over
				}
				if !bytes.Equal(data, make([]byte, n)) {
					t.Fatal("what was taken over is still there")
				}
				sent = append(sent, kept...)
			case 1:
				if len(read) == len(sent) {
					continue
				}
				p := make([]byte, n)
				k, ack, due, err := in.read(p)
				if err != nil || k == 0 {
					t.Fatal(k, err)
				}
				read = append(read, p[:k]...)
				if due {
					acked = ack
				}
				if !bytes.HasPrefix(sent, read) || acked > int64(len(read)) || int64(len(read))-acked >= in.limit/4 {
					t.Fatalf("read %d, acknowledged %d, of %d", len(read), acked, len(sent))
				}
			case 2:
				if out.sent-out.acked < out.limit {
					if _, err := out.take(t.Context(), n); err != nil {
						t.Fatal(err)
					}
				}
			case 3:
				total := shown + int64(rapid.IntRange(-5, 80).Draw(t, "ack"))
				allowed := total >= shown && total <= out.sent
				if err := out.ack(total); (err == nil) != allowed {
					t.Fatalf("%d shown, %d sent, %d acknowledged: %v", shown, out.sent, total, err)
				}
				if allowed {
					shown = total
				}
			}
			if out.sent-out.acked > out.limit || int64(len(in.pending)) > in.limit {
				t.Fatalf("%d bytes are on their way, %d wait", out.sent-out.acked, len(in.pending))
			}
		}
	})
}
