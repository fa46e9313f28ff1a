package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/kit"
	"vaultpam/pam"
	"vaultpam/pam/broker"
)

func (a *API) postKit(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Body v1.KitIn
},
) (*answer[v1.Kit], error) {
	k, err := a.Broker.MakeKit(ctx, actor, broker.KitWant{Safe: in.ID, Reason: in.Body.Reason, Shares: in.Body.Shares, Threshold: in.Body.Threshold})
	if err != nil {
		return nil, err
	}
	defer kit.Wipe(k.Shares)
	out := v1.Kit{ID: k.ID, Kit: string(k.File), Accounts: k.Entries, Shares: make([]string, len(k.Shares)), LeftOut: make([]v1.KitGap, len(k.LeftOut))}
	for i := range k.Shares {
		text := k.Shares[i].Text()
		out.Shares[i] = string(text)
		clear(text)
	}
	for i, acc := range k.LeftOut {
		out.LeftOut[i] = v1.KitGap{ID: string(acc.ID), Name: acc.Name}
	}
	return &answer[v1.Kit]{out}, nil
}
