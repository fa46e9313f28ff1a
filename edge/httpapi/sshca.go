package httpapi

import (
	"context"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/sshca"
)

func (a *API) sshCAOf(actor pam.Actor, all []sshca.Authority) v1.SSHCA {
	out := v1.SSHCA{
		Keys: []v1.SSHAuthority{}, PublicKeys: sshca.PublicKeys(all), KRLPath: "/api/v1/ssh-ca/" + string(actor.Org) + "/krl",
		HowTo: []string{"TrustedUserCAKeys /etc/ssh/vaultpam_ca.pub", "RevokedKeys /etc/ssh/vaultpam.krl"},
	}
	for _, k := range all {
		out.Keys = append(out.Keys, v1.SSHAuthority{Number: k.Number, PublicKey: k.PublicKey, Active: k.Active, ActiveFrom: k.ActiveFrom, CreatedAt: k.CreatedAt})
	}
	return out
}

func (a *API) getSSHCA(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.SSHCA], error) {
	all, err := a.SSHCA.Authorities(ctx, actor)
	return reply(a.sshCAOf(actor, all), err)
}

func (a *API) rotateSSHCA(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.SSHCA], error) {
	var body v1.SSHCARotateIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.SSHCARotateIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	all, err := a.SSHCA.Rotate(ctx, actor, time.Duration(body.ActivateAfterSeconds)*time.Second)
	return reply(a.sshCAOf(actor, all), err)
}

func (a *API) removeSSHCA(ctx context.Context, actor pam.Actor, in *struct {
	Number int64 `path:"number" minimum:"1"`
},
) (*nothing, error) {
	return nil, a.SSHCA.Remove(ctx, actor, in.Number)
}

// krl is a file for sshd. Whoever fetches it keeps it for a while anyhow.
type krlAnswer struct {
	ContentType  string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	Body         []byte
}

func (a *API) getKRL(ctx context.Context, _ pam.Actor, in *struct {
	Org string `path:"org_id" maxLength:"64"`
},
) (*krlAnswer, error) {
	list, err := a.SSHCA.Revocations(ctx, pam.OrgID(in.Org))
	return &krlAnswer{ContentType: "application/octet-stream", CacheControl: "no-cache", Body: list}, err
}
