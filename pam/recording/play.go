package recording

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"vaultpam/pam"
)

// maxLine is the longest line of an asciicast that Play accepts: a chunk's
// worth of control characters, escaped.
const maxLine = 8 << 20

// Play shows an asciicast v2 from r on the terminal w at speed times its pace,
// where a pause is never longer than idleLimit (0: as it was). Output alone is
// shown. It needs neither a server nor a key.
func Play(ctx context.Context, r io.Reader, w io.Writer, speed float64, idleLimit time.Duration) error {
	const op = "play recording"
	if !(speed > 0) {
		return pam.Errorf(pam.Invalid, op, "the speed must be above zero")
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var head struct {
		Version int `json:"version"`
	}
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return pam.Wrap(op, err)
		}
		return pam.Errorf(pam.BadRequest, op, "the recording is empty")
	}
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil || head.Version != 2 {
		return pam.Errorf(pam.BadRequest, op, "this is not an asciicast of version 2")
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := 0.0
	for n := 2; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		at, code, data, err := parseEvent(lines.Bytes())
		if err != nil {
			return pam.Errorf(pam.BadRequest, op, "line %d: %v", n, err)
		}
		if code != "o" {
			continue
		}
		pause := max(0, at-last)
		last = max(at, last)
		if idleLimit > 0 {
			pause = min(pause, idleLimit.Seconds())
		}
		timer.Reset(time.Duration(min(pause/speed, 1e8) * float64(time.Second)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return pam.Wrap(op, ctx.Err())
		}
		if _, err := io.WriteString(w, data); err != nil {
			return pam.Wrap(op, err)
		}
	}
	return pam.Wrap(op, lines.Err())
}

// parseEvent reads one line: [seconds, "code", "data"].
func parseEvent(line []byte) (at float64, code, data string, err error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(line, &parts); err != nil || len(parts) < 3 {
		return 0, "", "", errors.New("not an event")
	}
	for i, to := range []any{&at, &code, &data} {
		if err := json.Unmarshal(parts[i], to); err != nil {
			return 0, "", "", fmt.Errorf("element %d of the event is malformed", i+1)
		}
	}
	return at, code, data, nil
}
