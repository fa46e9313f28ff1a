// Package ldap asks a directory who somebody is (LDAP version 3, RFC 4511):
// OpenLDAP, Active Directory and their like.
//
// It owns how a person is found, how their password is tried, and what of a
// directory's answers is believed. It must not know whom that makes anybody
// here. Start at [Client.Authenticate].
package ldap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"vaultpam/internal/outbound"
	"vaultpam/internal/secret"
)

// Limits.
const (
	timeout     = 10 * time.Second // of one operation
	maxAnswers  = 32 << 20         // bytes that a directory may send on one connection
	maxPacket   = 8 << 20          // bytes of one message
	maxGroups   = 1000             // of one person
	maxUsername = 256
	maxPassword = 1024
	batch       = 50 // people in one question
)

// The library reads a length before it reads a message; without this a
// directory could have us make room for two gigabytes.
func init() { ber.MaxPacketLengthBytes = maxPacket }

// What a directory may be refused with.
var (
	ErrUnreachable = errors.New("ldap: the directory does not answer as it should")
	ErrRefused     = errors.New("ldap: the directory does not let them in")
)

// Error is a failure, with a reason for people.
type Error struct {
	Kind   error // ErrUnreachable or ErrRefused
	Reason string
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("%v: %s", e.Kind, e.Reason) }
func (e *Error) Unwrap() []error {
	return []error{e.Kind, e.Err}
}

func unreachable(reason string, err error) error { return &Error{ErrUnreachable, reason, err} }

func refused(reason string) error { return &Error{ErrRefused, reason, nil} }

// Directory is whom to ask, and where in it to look.
type Directory struct {
	URLs             []string // ldaps://host, or ldap://host, where STARTTLS is required; the first that answers is asked
	CA               string   // PEM; "": those of the system
	BindDN           string   // of the account that searches; "": nobody's
	Password         secret.Value
	BaseDN           string
	UserFilter       string // {username} stands for what somebody typed
	SubjectAttribute string // that stays the same for a person's life; objectGUID is read as Active Directory writes it
	EmailAttribute   string
	NameAttribute    string
	GroupBaseDN      string // "": memberOf says which groups somebody is in
	GroupFilter      string // {dn} and {username} stand for the person's
}

// Entry is what a directory says of a person.
type Entry struct {
	Subject  string
	Email    string
	Name     string
	Groups   []string // distinguished names; of groups below GroupBaseDN the common names, too
	Disabled bool
}

// Client asks directories. It is safe for concurrent use.
type Client struct{ rules outbound.Rules }

// New makes a client that connects where the rules permit.
func New(r outbound.Rules) *Client { return &Client{r} }

// URLProblem says what is wrong with the address of a directory; "" for nothing
// that can be seen.
func (c *Client) URLProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || len(text) > 512:
		return "is not an address"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "must name a server alone"
	case u.Scheme != "ldaps" && u.Scheme != "ldap":
		return "must begin with ldaps:// or ldap://"
	}
	return ""
}

// CAProblem says what is wrong with certificates in PEM.
func CAProblem(pem string) string {
	if pem != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(pem)) {
		return "holds no certificate"
	}
	return ""
}

// DNProblem says what is wrong with a distinguished name (RFC 4514).
func DNProblem(dn string) string {
	if _, err := ldap.ParseDN(dn); err != nil || len(dn) > 1024 {
		return "is not a distinguished name"
	}
	return ""
}

// FilterProblem says what is wrong with a filter (RFC 4515) that has places.
func FilterProblem(filter string, places ...string) string {
	if len(filter) > 1024 {
		return "is too long"
	}
	for _, p := range places {
		if strings.Contains(filter, p) {
			filled := strings.NewReplacer("{username}", "x", "{dn}", "x").Replace(filter)
			if _, err := ldap.CompileFilter(filled); err != nil {
				return "is not a filter"
			}
			return ""
		}
	}
	return "must contain " + strings.Join(places, " or ")
}

// connect connects to the first server that answers, encrypted, and binds as
// the account that searches.
func (c *Client) connect(ctx context.Context, d Directory) (*ldap.Conn, error) {
	err := unreachable("no server is named", nil)
	for _, text := range d.URLs {
		var conn *ldap.Conn
		if conn, err = c.dial(ctx, d, text); err != nil {
			continue
		}
		if err = bind(conn, d); err != nil {
			_ = conn.Close()
			return nil, err // another server has the same accounts
		}
		return conn, nil
	}
	return nil, err
}

func (c *Client) dial(ctx context.Context, d Directory, text string) (*ldap.Conn, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, unreachable("its address cannot be read", err)
	}
	config := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if d.CA != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(d.CA))
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldaps": "636", "ldap": "389"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	raw, err := c.rules.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	switch {
	case errors.Is(err, outbound.ErrAddress):
		return nil, unreachable("the address is not one that this server may ask", err)
	case err != nil:
		return nil, unreachable("the server cannot be reached", err)
	}
	// Nothing that a directory does holds anybody up for longer, or fills memory.
	_ = raw.SetDeadline(time.Now().Add(3 * timeout))
	bounded := &limited{Conn: raw, left: maxAnswers}
	if u.Scheme == "ldaps" {
		secured := tls.Client(bounded, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, unreachable(tlsReason(err), err)
		}
		conn := ldap.NewConn(secured, true)
		conn.SetTimeout(timeout)
		conn.Start()
		return conn, nil
	}
	conn := ldap.NewConn(bounded, false)
	conn.SetTimeout(timeout)
	conn.Start()
	// Without encryption nothing is ever sent: a server that does not want it,
	// or somebody in between who says so, is not asked.
	if err := conn.StartTLS(config); err != nil {
		_ = conn.Close()
		return nil, unreachable("encryption (STARTTLS) could not be begun: "+tlsReason(err), err)
	}
	return conn, nil
}

func tlsReason(err error) string {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, ok := errors.AsType[x509.HostnameError](e); ok {
			return "the server's certificate is for another name"
		}
		return "the server's certificate is not one that is trusted"
	}
	return "there was no encrypted connection"
}

// limited is a connection over which no more than so much comes.
type limited struct {
	net.Conn
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("ldap: the directory says too much")
	}
	n, err := l.Conn.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

func bind(conn *ldap.Conn, d Directory) error {
	if d.BindDN == "" {
		return nil
	}
	err := conn.Bind(d.BindDN, string(d.Password.Expose()))
	switch {
	case err == nil:
		return nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials), ldap.IsErrorWithCode(err, ldap.ErrorEmptyPassword):
		return unreachable("the account that searches is not let in: its name or password is wrong", err)
	}
	return unreachable("the account that searches is not let in", err)
}

// Test says whether a directory can be asked, and whether people are found.
func (c *Client) Test(ctx context.Context, d Directory) error {
	conn, err := c.connect(ctx, d)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := c.find(conn, d, place(d.UserFilter, "{username}", "nobody-"+rand.Text()), 2); err != nil {
		return err
	}
	if d.GroupBaseDN != "" {
		if _, err := groupsFound(conn, d, ldap.NewEntry("cn=nobody", nil), "nobody"); err != nil {
			return err
		}
	}
	return nil
}

// place puts a value into a filter, escaped (RFC 4515 section 3).
func place(filter, name, value string) string {
	return strings.ReplaceAll(filter, name, ldap.EscapeFilter(value))
}

// find searches below the base. Referrals are not followed: they lead to
// servers that nobody has named.
func (c *Client) find(conn *ldap.Conn, d Directory, filter string, most int) ([]*ldap.Entry, error) {
	attributes := []string{d.SubjectAttribute, d.EmailAttribute, d.NameAttribute, "memberOf", "userAccountControl"}
	r := ldap.NewSearchRequest(d.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, most, int(timeout/time.Second), false, filter, attributes, nil)
	found, err := conn.Search(r)
	switch {
	case err == nil:
		return found.Entries, nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return found.Entries, nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return nil, unreachable("there is nothing at the base where people are searched", err)
	case ldap.IsErrorWithCode(err, ldap.ErrorFilterCompile):
		return nil, unreachable("the filter by which people are found cannot be read", err)
	}
	return nil, unreachable("people cannot be searched", err)
}

// Authenticate finds the one person whom a name stands for, and tries their
// password. Whoever is not found, not alone, disabled or has another password
// is refused with the same words.
func (c *Client) Authenticate(ctx context.Context, d Directory, username string, password secret.Value) (Entry, error) {
	wrong := refused("the user name or the password is wrong")
	typed := string(password.Expose())
	// A bind without password succeeds as nobody (RFC 4513 section 5.1.2).
	if username == "" || len(username) > maxUsername || strings.ContainsRune(username, 0) || typed == "" || len(typed) > maxPassword || strings.ContainsRune(typed, 0) {
		return Entry{}, wrong
	}
	conn, err := c.connect(ctx, d)
	if err != nil {
		return Entry{}, err
	}
	defer func() { _ = conn.Close() }()
	found, err := c.find(conn, d, place(d.UserFilter, "{username}", username), 2)
	if err != nil {
		return Entry{}, err
	}
	if len(found) != 1 {
		// Of nobody, too, a password is tried, so that it takes its time.
		_ = conn.Bind("cn=nobody-"+rand.Text()+","+d.BaseDN, typed)
		return Entry{}, wrong
	}
	if err := conn.Bind(found[0].DN, typed); err != nil {
		if e, ok := errors.AsType[*ldap.Error](err); ok && e.ResultCode < ldap.ErrorNetwork {
			return Entry{}, wrong
		}
		return Entry{}, unreachable("it did not say whether the password is right", err)
	}
	// What is believed of them is read by the account that searches, not by them.
	if err := rebind(conn, d); err != nil {
		return Entry{}, err
	}
	e, err := c.entry(conn, d, found[0], username)
	if err == nil && e.Disabled {
		err = wrong
	}
	return e, err
}

func rebind(conn *ldap.Conn, d Directory) error {
	if d.BindDN != "" {
		return bind(conn, d)
	}
	if err := conn.UnauthenticatedBind(""); err != nil {
		return unreachable("it does not let us search", err)
	}
	return nil
}

// Lookup finds people by their subjects. Who is not in the answer is not in the
// directory any more.
func (c *Client) Lookup(ctx context.Context, d Directory, subjects []string) (map[string]Entry, error) {
	conn, err := c.connect(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	out := map[string]Entry{}
	for len(subjects) > 0 {
		part := subjects[:min(batch, len(subjects))]
		subjects = subjects[len(part):]
		var filter strings.Builder
		filter.WriteString("(|")
		for _, s := range part {
			filter.WriteString("(" + d.SubjectAttribute + "=" + subjectFilter(d.SubjectAttribute, s) + ")")
		}
		filter.WriteString(")")
		found, err := c.find(conn, d, filter.String(), 2*batch)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			e, err := c.entry(conn, d, f, "")
			if err != nil {
				return nil, err
			}
			out[e.Subject] = e
		}
	}
	return out, nil
}

// entry reads what a directory says of somebody.
func (c *Client) entry(conn *ldap.Conn, d Directory, f *ldap.Entry, username string) (Entry, error) {
	e := Entry{Subject: subjectOf(d.SubjectAttribute, f), Email: f.GetEqualFoldAttributeValue(d.EmailAttribute), Name: f.GetEqualFoldAttributeValue(d.NameAttribute)}
	if e.Subject == "" {
		return e, unreachable("it does not say the attribute that identifies people: "+d.SubjectAttribute, nil)
	}
	// ADS_UF_ACCOUNTDISABLE of Active Directory.
	var control int
	if _, err := fmt.Sscan(f.GetEqualFoldAttributeValue("userAccountControl"), &control); err == nil {
		e.Disabled = control&2 != 0
	}
	groups := f.GetEqualFoldAttributeValues("memberOf")
	if d.GroupBaseDN != "" {
		var err error
		if groups, err = groupsFound(conn, d, f, username); err != nil {
			return e, err
		}
	}
	for _, dn := range groups[:min(len(groups), maxGroups)] {
		e.Groups = append(e.Groups, dn)
		// Whoever may make groups anywhere gives them any name: the short one
		// counts below the base alone.
		if cn := commonName(dn); cn != "" && d.GroupBaseDN != "" {
			e.Groups = append(e.Groups, cn)
		}
	}
	return e, nil
}

func groupsFound(conn *ldap.Conn, d Directory, f *ldap.Entry, username string) ([]string, error) {
	filter := place(place(d.GroupFilter, "{dn}", f.DN), "{username}", username)
	r := ldap.NewSearchRequest(d.GroupBaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxGroups, int(timeout/time.Second), false, filter, []string{"cn"}, nil)
	found, err := conn.Search(r)
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
		return nil, unreachable("groups cannot be searched", err)
	}
	var out []string
	for _, g := range found.Entries {
		out = append(out, g.DN)
	}
	return out, nil
}

// commonName is the first part of a name, where that is a cn.
func commonName(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 || len(parsed.RDNs[0].Attributes) != 1 || !strings.EqualFold(parsed.RDNs[0].Attributes[0].Type, "cn") {
		return ""
	}
	return parsed.RDNs[0].Attributes[0].Value
}

const objectGUID = "objectGUID"

// subjectOf is what identifies a person: one value, and text. Active
// Directory's is sixteen bytes, here in hex.
func subjectOf(attribute string, f *ldap.Entry) string {
	values := f.GetEqualFoldRawAttributeValues(attribute)
	if len(values) != 1 || len(values[0]) == 0 || len(values[0]) > 256 {
		return ""
	}
	if strings.EqualFold(attribute, objectGUID) {
		return hex.EncodeToString(values[0])
	}
	return string(values[0])
}

func subjectFilter(attribute, subject string) string {
	if raw, err := hex.DecodeString(subject); err == nil && strings.EqualFold(attribute, objectGUID) {
		return ldap.EscapeFilter(string(raw))
	}
	return ldap.EscapeFilter(subject)
}
