package account

import (
	"fmt"
	"strings"
	"testing"

	"vaultpam/pam"
)

func rowText(r ImportRow) string {
	s := fmt.Sprintf("%s|%s|%s %s %d %s", r.Name, r.Username, r.At.Type, r.At.Host, r.At.Port, r.At.Ref)
	if c := r.Credential; c != nil {
		s += fmt.Sprintf("|%s %s%s", c.Kind, c.Value.Expose(), c.PrivateKey.Expose())
	}
	for _, p := range r.Problems {
		s += "|" + p.Field
	}
	return s
}

func TestCSVIsReadAsSpreadsheetsAndPasswordManagersWriteIt(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"ours": {
			"name,username,kind,value,type,host,port\nweb,root,password,\"a,\"\"b\"\"\",ssh,web1,2222\n",
			`web|root|ssh web1 2222 |password a,"b"`,
		},
		"BOM, CRLF and semicolons": {"\uFEFFusername;password;resource\r\nroot;s€cret;web-1\r\n", "|root|  0 web-1|password s€cret"},
		"KeePassXC": {
			"\"Group\",\"Title\",\"Username\",\"Password\",\"URL\",\"Notes\",\"TOTP\",\"Icon\",\"Last Modified\",\"Created\"\n\"Root\",\"db\",\"app\",\"x\",\"postgresql://u:CANARY@db.example.com:5433/app\",\"CANARY\",\"\",\"0\",\"\",\"\"\n",
			"db|app|postgresql db.example.com 5433 |password x",
		},
		"a key over lines":     {"username,private_key,url\nroot,\"-----BEGIN\nx\n\",ssh://[::1]\n", "|root|ssh ::1 0 |ssh_key -----BEGIN\nx\n"},
		"no secret":            {"username,type,host\nroot,rdp,win\n", "|root|rdp win 0 "},
		"ephemeral":            {"username,kind,url\nroot,ephemeral,web\n", "|root| web 0 |ephemeral "},
		"https":                {"username,kind,value,url\nx,token,t,https://git.example.com/path\n", "|x|http git.example.com 443 |token t"},
		"type and URL":         {"username,type,url\nx,ssh,rdp://h\n", "|x|ssh  0 |url"},
		"no such scheme":       {"username,url\nx,gopher://h\n", "|x|  0 |url"},
		"no such port":         {"username,host,port\nx,h,CANARY\n", "|x| h 0 |port"},
		"port in the URL":      {"username,url\nx,ssh://h:99999\n", "|x|  0 |url"},
		"a URL that is none":   {"username,url\nx,ssh://%zz\n", "|x|  0 |url"},
		"a row that is longer": {"username,url\nx,y,CANARY\n", "||  0 |row"},
	} {
		rows, err := ReadCSV([]byte(c.text))
		if err != nil || len(rows) != 1 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
			continue
		}
		if got := rowText(rows[0]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The attack, or the mishap: a file without a first line, or with one column
// too many, whose secret then stands in an error, a log and a ticket.
func TestCSVThatCannotBeReadIsNeverQuoted(t *testing.T) {
	for name, text := range map[string]string{
		"empty":            "",
		"no first line":    "root,CANARY,ssh://web\n",
		"twice":            "username,value,value\nroot,CANARY,x\n",
		"the same meaning": "username,CANARY\n",
		"quotation mark":   "username,value\nroot,\"CANARY\n",
		"bare mark":        "username,value\nroot,CAN\"ARY\n",
		"too many rows":    "username,value\n" + strings.Repeat("root,CANARY\n", MaxImport+1),
		"too large":        "username,value\n" + strings.Repeat("CANARY", MaxCSV/6+1),
	} {
		_, err := ReadCSV([]byte(text))
		invalid(t, err, "csv")
		if strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("name,username,value,url\nweb,root,\"a\"\"b\",ssh://h:22\n"))
	f.Add([]byte("\uFEFFusername;password\r\nroot;x\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := ReadCSV(text)
		if err != nil && !pam.Is(err, pam.Invalid) {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.At.Port < 0 || r.At.Port > 65535 {
				t.Fatal(r.At)
			}
		}
	})
}
