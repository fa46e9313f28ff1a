package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"vaultpam/edge"
)

// Config is everything that an operator may set. Each field is a flag, a
// VAULTPAM_ variable and a key of the YAML file, under one name. A flag wins
// over a variable, a variable over the file.
type Config struct {
	Dev          bool
	DataDir      string
	DatabaseURL  string
	KeyFile      string
	Listen       string
	SSHListen    string
	PublicURL    string
	TLSCert      string
	TLSKey       string
	ACMEDomains  []string
	ACMEEmail    string
	Recordings   string
	Proxies      string
	RateLimits   string
	LocalAllow   []string
	Metrics      string
	MetricsToken string

	OutboundAllow []string // networks beside the public addresses

	LoginTTL          time.Duration
	ConsoleTTL        time.Duration
	ConsoleIdle       time.Duration
	Argon2MemoryKiB   uint32
	Argon2Time        uint32
	Argon2Parallelism uint8
	HashConcurrency   int

	RotationConcurrency int
	SSHCASources        []string // networks

	SMTPAddress  string
	SMTPFrom     string
	SMTPUsername string
	SMTPPassword string
	SMTPSecurity string
	SMTPCA       string

	CheckpointInterval time.Duration
	CheckpointFile     string
	CheckpointStdout   bool

	SpaceReserveMiB int
	DrainTimeout    time.Duration
	LogFormat       string
	LogLevel        string

	DevEmail    string
	DevPassword string

	SealConfig
}

// secretSettings may be given as a file, by a twin whose name ends in -file or
// _FILE, so that they stand in no process list and no environment.
var secretSettings = map[string]bool{"database-url": true, "metrics-token": true, "dev-password": true, "smtp-password": true, "pkcs11-pin": true}

// AddFlags binds the settings to fs, with their defaults.
func (c *Config) AddFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&c.Dev, "dev", false, "for trying out: loopback only, an owner, example Safes and a demo target made at the first start")
	fs.StringVar(&c.DataDir, "data-dir", "", "directory of the database, the key file and the recordings (default /var/lib/vaultpam, with --dev ./data)")
	fs.StringVar(&c.DatabaseURL, "database-url", "", "postgres:// URL; without it SQLite in the data directory (also DATABASE_URL)")
	fs.StringVar(&c.KeyFile, "key-file", "", "key file that seals the root key (default DATA-DIR/root.key, made by init and --dev)")
	fs.StringVar(&c.Listen, "listen", "", "address of API and console (default 127.0.0.1:8080 with --dev, else :443)")
	fs.StringVar(&c.SSHListen, "ssh-listen", "", "address of the SSH proxy (default 127.0.0.1:2222 with --dev, else :2222)")
	fs.StringVar(&c.PublicURL, "public-url", "", "https:// URL under which people reach this server")
	fs.StringVar(&c.TLSCert, "tls-cert", "", "certificate chain (PEM); read again when it changes")
	fs.StringVar(&c.TLSKey, "tls-key", "", "private key of the certificate (PEM)")
	fs.StringSliceVar(&c.ACMEDomains, "acme-domains", nil, "names to get certificates for by ACME, instead of files")
	fs.StringVar(&c.ACMEEmail, "acme-email", "", "contact given to the ACME authority")
	fs.StringVar(&c.Recordings, "recordings-dir", "", "directory of the recordings (default DATA-DIR/recordings)")
	fs.StringVar(&c.Proxies, "trusted-proxies", "", "addresses and prefixes whose X-Forwarded-For and PROXY header are believed")
	fs.StringVar(&c.RateLimits, "rate-limits", "", "off, or a list such as login=60,ip=300,user=120,sensitive=30,scim=1800")
	fs.StringSliceVar(&c.LocalAllow, "local-allow", nil, "networks that this server itself may dial (default: all but link-local, metadata and, outside of --dev, loopback)")
	fs.StringSliceVar(&c.OutboundAllow, "outbound-allow", nil, "networks beside the public addresses in which this server may ask identity providers and tell webhooks (with --dev: loopback)")
	fs.StringVar(&c.Metrics, "metrics-listen", "", "address of /metrics, loopback unless you say otherwise (default: none)")
	fs.StringVar(&c.MetricsToken, "metrics-token", "", "serve /metrics on the API's address as well, to this bearer token")
	fs.StringVar(&c.SMTPAddress, "smtp-address", "", "host:port of the mail server; without it no letters are sent (with --dev they are printed)")
	fs.StringVar(&c.SMTPFrom, "smtp-from", "", "sender of letters, such as VaultPAM <pam@example.com>")
	fs.StringVar(&c.SMTPUsername, "smtp-username", "", "name to log in to the mail server with")
	fs.StringVar(&c.SMTPPassword, "smtp-password", "", "password to log in to the mail server with")
	fs.StringVar(&c.SMTPSecurity, "smtp-security", "starttls", "starttls, tls, or none for a mail server on the same machine")
	fs.StringVar(&c.SMTPCA, "smtp-ca", "", "certificates (PEM) that the mail server's is checked by, instead of the system's")
	fs.DurationVar(&c.LoginTTL, "login-ttl", time.Hour, "lifetime of a login token")
	fs.DurationVar(&c.ConsoleTTL, "console-ttl", 12*time.Hour, "lifetime of a login of the console")
	fs.DurationVar(&c.ConsoleIdle, "console-idle", 30*time.Minute, "a login of the console that is not used for so long ends")
	fs.Uint32Var(&c.Argon2MemoryKiB, "argon2-memory-kib", 19*1024, "memory of one password hash, in KiB")
	fs.Uint32Var(&c.Argon2Time, "argon2-time", 2, "passes of one password hash")
	fs.Uint8Var(&c.Argon2Parallelism, "argon2-parallelism", 1, "lanes of one password hash")
	fs.IntVar(&c.HashConcurrency, "hash-concurrency", 0, "password hashes at a time (default: the number of cores)")
	fs.IntVar(&c.RotationConcurrency, "rotation-concurrency", defaultRotations, "rotations and checks of credentials at a time, on this node")
	fs.StringSliceVar(&c.SSHCASources, "ssh-ca-source", nil, "networks from which this server reaches targets, as they see it: SSH certificates log in from there alone (default: from anywhere)")
	fs.DurationVar(&c.CheckpointInterval, "checkpoint-interval", time.Minute, "how often the audit logs' signed checkpoints are emitted, where they have grown")
	fs.StringVar(&c.CheckpointFile, "checkpoint-file", "", "file that checkpoints are appended to; keep it on another machine")
	fs.BoolVar(&c.CheckpointStdout, "checkpoint-stdout", false, "print checkpoints to standard output")
	fs.IntVar(&c.SpaceReserveMiB, "recordings-reserve-mib", 64, "no session starts when less than this is free for recordings")
	fs.DurationVar(&c.DrainTimeout, "drain-timeout", 10*time.Second, "how long sessions may take to end when the server stops")
	fs.StringVar(&c.LogFormat, "log-format", "text", "text or json")
	fs.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&c.DevEmail, "dev-email", "owner@example.com", "with --dev: e-mail of the owner, used only when that is created")
	fs.StringVar(&c.DevPassword, "dev-password", "", "with --dev: password of the owner, used only when that is created (default: generated and printed once)")
	c.SealConfig.addFlags(fs)
	fs.String("config", "", "YAML file with these settings")
	for name := range secretSettings {
		fs.String(name+"-file", "", "file that holds "+name)
	}
}

// Load fills what no flag has set from the environment and the YAML file.
func Load(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	path, _ := fs.GetString("config")
	if v, ok := lookup("VAULTPAM_CONFIG"); ok && path == "" {
		path = v
	}
	file, err := readYAML(path)
	if err != nil {
		return err
	}
	for name := range file {
		if fs.Lookup(name) == nil {
			return fmt.Errorf("%s: there is no setting %q", path, name)
		}
	}
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "config" || f.Name == "help" {
			return
		}
		if v, ok := lookup(variable(f.Name)); ok {
			errs = append(errs, set(fs, f.Name, v, variable(f.Name)))
		} else if v, ok := file[f.Name]; ok {
			errs = append(errs, set(fs, f.Name, v, path))
		}
	})
	if f := fs.Lookup("database-url"); f != nil && !f.Changed {
		if v, ok := lookup("DATABASE_URL"); ok {
			errs = append(errs, set(fs, "database-url", v, "DATABASE_URL"))
		}
	}
	for name := range secretSettings {
		from, _ := fs.GetString(name + "-file")
		if from == "" || fs.Lookup(name).Changed {
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s-file: %w", name, err))
			continue
		}
		errs = append(errs, set(fs, name, strings.TrimRight(string(text), "\r\n"), from))
	}
	return errors.Join(errs...)
}

// set names the setting and where its value came from, never the value.
func set(fs *pflag.FlagSet, name, value, from string) error {
	if err := fs.Set(name, value); err != nil {
		return fmt.Errorf("%s: the value of %s is not acceptable", from, name)
	}
	return nil
}

func variable(name string) string {
	return "VAULTPAM_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func readYAML(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("config: %s is not YAML", path)
	}
	out := map[string]string{}
	for name, v := range raw {
		switch v := v.(type) {
		case []any:
			items := make([]string, len(v))
			for i := range v {
				items[i] = fmt.Sprint(v[i])
			}
			out[name] = strings.Join(items, ",")
		default:
			out[name] = fmt.Sprint(v)
		}
	}
	return out, nil
}

// complete fills the defaults that depend on others and refuses what cannot
// be run safely.
func (c *Config) complete() error {
	if c.DataDir == "" {
		c.DataDir = "/var/lib/vaultpam"
		if c.Dev {
			c.DataDir = "data"
		}
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(c.DataDir, "root.key")
	}
	if c.Recordings == "" {
		c.Recordings = filepath.Join(c.DataDir, "recordings")
	}
	if c.Listen == "" {
		c.Listen = ":443"
		if c.Dev {
			c.Listen = "127.0.0.1:8080"
		}
	}
	if c.SSHListen == "" {
		c.SSHListen = ":2222"
		if c.Dev {
			c.SSHListen = "127.0.0.1:2222"
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	if c.TLSCert != "" && len(c.ACMEDomains) > 0 {
		return errors.New("give either --tls-cert and --tls-key, or --acme-domains")
	}
	if c.Dev && c.Seal != keyFile && c.Seal != "" {
		return fmt.Errorf("--seal %s: with --dev the seal is a key file", c.Seal)
	}
	if c.Seal == "" {
		c.Seal = keyFile
	}
	if c.Dev {
		for name, a := range map[string]string{"--listen": c.Listen, "--ssh-listen": c.SSHListen} {
			if !loopback(a) {
				return fmt.Errorf("%s %s: with --dev the server listens on loopback addresses alone", name, a)
			}
		}
	}
	if !c.tls() && !loopback(c.Listen) {
		return fmt.Errorf("--listen %s: plain HTTP is served on loopback addresses alone; give --tls-cert and --tls-key, or --acme-domains", c.Listen)
	}
	if c.Metrics != "" && !loopback(c.Metrics) && c.MetricsToken == "" {
		return fmt.Errorf("--metrics-listen %s: beyond loopback, metrics need --metrics-token", c.Metrics)
	}
	if c.DatabaseURL != "" && !strings.HasPrefix(c.DatabaseURL, "postgres://") && !strings.HasPrefix(c.DatabaseURL, "postgresql://") {
		return errors.New("--database-url: only postgres:// is understood; leave it out for SQLite")
	}
	if c.SMTPAddress != "" {
		if _, err := c.mail(); err != nil {
			return err
		}
		if c.PublicURL == "" && !c.Dev {
			return errors.New("--smtp-address: letters carry links, which need --public-url")
		}
		if c.SMTPSecurity == "none" && !loopback(c.SMTPAddress) {
			return errors.New("--smtp-security none is for a mail server on this machine alone")
		}
	}
	if c.RotationConcurrency == 0 {
		c.RotationConcurrency = defaultRotations
	}
	if c.RotationConcurrency < 1 || c.RotationConcurrency > 1024 {
		return errors.New("--rotation-concurrency: 1 to 1024")
	}
	for _, network := range c.SSHCASources {
		if _, err := netip.ParsePrefix(network); err != nil {
			return fmt.Errorf("--ssh-ca-source %s: a network, such as 10.0.0.7/32", network)
		}
	}
	if _, err := c.localAllow(); err != nil {
		return err
	}
	if _, err := c.outbound(); err != nil {
		return err
	}
	if _, err := edge.ParseLimits(c.RateLimits); err != nil {
		return err
	}
	if _, err := edge.ParseProxies(c.Proxies); err != nil {
		return err
	}
	return nil
}

// defaultRotations is how many rotations and checks a node works on at a time.
const defaultRotations = 16

func (c *Config) tls() bool { return c.TLSCert != "" || len(c.ACMEDomains) > 0 }

// proxies are those that complete has checked.
func (c *Config) proxies() edge.Proxies {
	ps, _ := edge.ParseProxies(c.Proxies)
	return ps
}

func (c *Config) localAllow() ([]netip.Prefix, error) {
	ps, err := edge.ParseProxies(strings.Join(c.LocalAllow, ","))
	if err != nil {
		return nil, fmt.Errorf("--local-allow: %w", err)
	}
	return ps, nil
}

// loopback says whether a listening address can be reached from this machine
// alone. A name or an empty host is not, but for localhost.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
