package broker

import (
	"context"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/safe"
	"vaultpam/pam/sshca"
)

// Issuer makes SSH certificates. *sshca.Service satisfies it.
type Issuer interface {
	// Issue returns a new key and a certificate for it. Its event is durable.
	Issue(ctx context.Context, a pam.Actor, w sshca.Want) (key secret.Value, certificate string, err error)
}

// issueFor is what a certificate is for; the zero value is a check of a login.
type issueFor struct {
	session pam.SessionID
	safe    safe.Safe
}

// issue has a certificate made for an account of which no secret is kept.
func (b *Broker) issue(ctx context.Context, actor pam.Actor, org pam.OrgID, id pam.AccountID, use issueFor, target audit.Party, m map[string]any) (Credential, error) {
	acc, err := b.Store.AccountByID(ctx, org, id)
	if err != nil {
		return Credential{}, err
	}
	if acc.Credential == nil || acc.Credential.Kind != account.Made {
		return Credential{}, pam.Errorf(pam.Conflict, "issue credential", "Another credential was stored just now.")
	}
	w := sshca.Want{
		Session: use.session, Account: id, Principals: []string{acc.Username}, Target: target, Metadata: m,
		PortForwarding: use.safe.PortForwarding, AgentForwarding: use.safe.AgentForwarding,
	}
	if e := acc.Credential.Ephemeral; e != nil {
		w.TTL = time.Duration(e.TTLSeconds) * time.Second
		if len(e.Principals) > 0 {
			w.Principals = e.Principals
		}
	}
	actor.Org = org
	key, certificate, err := b.Issuer.Issue(ctx, actor, w)
	return Credential{PrivateKey: key, Certificate: certificate}, err
}
