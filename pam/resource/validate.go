package resource

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/naming"
	"vaultpam/pam"
)

const (
	maxHost     = 253 // RFC 1035 section 2.3.4, without the root's dot
	maxLabel    = 63
	maxHostKeys = 16
	maxKeyLine  = 16 << 10
	maxCA       = 64 << 10
)

// ports are the protocols' own.
var ports = map[pam.Protocol]int{
	pam.SSH: 22, pam.PostgreSQL: 5432, pam.MySQL: 3306, pam.Redis: 6379, pam.MSSQL: 1433,
	pam.MongoDB: 27017, pam.HTTP: 443, pam.Kubernetes: 6443, pam.RDP: 3389, pam.VNC: 5900, pam.LDAP: 389,
}

// check says what is not acceptable, and returns s in the one form in which
// it is kept.
func (s Settings) check(op string) (Settings, error) {
	var ps pam.Problems
	if p := naming.Problem(s.Name); p != "" {
		ps.Add("name", p)
	}
	if s.Slug != "" {
		if p := naming.SlugProblem(s.Slug); p != "" {
			ps.Add("slug", p)
		}
	}
	if !slices.Contains(pam.Protocols, s.Type) {
		ps.Add("type", "is not one of the protocols")
	}
	host, problem := Host(s.Host)
	if problem != "" {
		ps.Add("host", problem)
	}
	s.Host = host
	if s.Port == 0 {
		s.Port = ports[s.Type]
	}
	if s.Port < 1 || s.Port > 65535 {
		ps.Add("port", "must be 1 to 65535")
	}
	if len(s.ConnectorIDs) > 0 {
		ps.Add("connector_ids", "name no connector of this organization")
	}
	s.ConnectorIDs = nil
	s.HostKeys = hostKeys(&ps, s.HostKeys)
	if s.HostKeyPolicy == "" {
		s.HostKeyPolicy = Pinned
	}
	if s.HostKeyPolicy != Pinned && s.HostKeyPolicy != AcceptFirst {
		ps.Add("host_key_policy", "must be pinned or accept_first")
	}
	s.TLS.check(&ps)
	return s, ps.Err(op)
}

// Host returns a host as it is kept, or what is wrong with it: a name of RFC
// 1123 section 2.1 in lower case (an underscore is let through, as resolvers
// do), or an address without a zone.
func Host(host string) (normal, problem string) {
	switch {
	case host == "":
		return "", "is required"
	case len(host) > maxHost:
		return "", "is longer than 253 characters"
	case strings.Contains(host, "/"):
		return "", "must be a name or an address, without scheme or path"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", "must not name a zone"
		}
		return ip.Unmap().String(), ""
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return "", "is not a host name or an address"
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", "is not a host name or an address"
			}
		}
	}
	// A name whose last label is a number ("127.1", "0x7f") is read as an
	// address by some resolvers and not by others.
	if isNumber(labels[len(labels)-1]) {
		return "", "is not a host name or an address"
	}
	return strings.Join(labels, "."), ""
}

// isNumber says whether inet_aton reads label as a number.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// HostKey returns an OpenSSH public key line ("type base64 comment", as in a
// .pub file) as it is kept, or what is wrong with it.
func HostKey(line string) (normal, problem string) {
	if len(line) > maxKeyLine || strings.ContainsAny(strings.TrimSpace(line), "\r\n") {
		return "", "must be one OpenSSH public key a line"
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 {
		return "", "is not an OpenSSH public key line"
	}
	if _, certificate := key.(*ssh.Certificate); certificate {
		return "", "is a certificate, not a key"
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), ""
}

func hostKeys(ps *pam.Problems, lines []string) []string {
	if len(lines) > maxHostKeys {
		ps.Add("host_keys", "are more than 16")
		return nil
	}
	var out []string
	for _, line := range lines {
		key, problem := HostKey(line)
		if problem != "" {
			ps.Add("host_keys", problem)
			return nil
		}
		if !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

func (t TLS) check(ps *pam.Problems) {
	if !slices.Contains([]string{"", "disable", "require", "verify"}, t.Mode) {
		ps.Add("tls.mode", "must be disable, require or verify")
	}
	if len(t.CA) > maxCA {
		ps.Add("tls.ca", "is longer than 64 KiB")
	} else if t.CA != "" {
		found := 0
		for rest := []byte(t.CA); ; found++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				if strings.TrimSpace(string(rest)) != "" {
					found = 0
				}
				break
			}
			if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
				found = 0
				break
			}
		}
		if found == 0 {
			ps.Add("tls.ca", "must be certificates in PEM")
		}
	}
	if t.ServerName != "" {
		if _, problem := Host(t.ServerName); problem != "" {
			ps.Add("tls.server_name", problem)
		}
	}
}
