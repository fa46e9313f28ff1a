package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/stats"
)

func (a *API) getStats(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.Stats], error) {
	f, err := a.Stats.Figures(ctx, actor)
	if err != nil {
		return nil, err
	}
	out := v1.Stats{
		At: f.At, ActiveSessions: f.Active, PendingSessions: f.Pending, Safes: f.Safes, Resources: f.Resources, Accounts: f.Accounts, Members: f.Members,
		Recordings: f.Recordings, RecordingsBytes: f.RecordingsBytes, SessionsPerHour: countsOf(f.SessionsPerHour), SessionsPerDay: countsOf(f.SessionsPerDay),
		FailedLoginsPerHour: countsOf(f.FailedLoginsPerHour), RefusedLaunchesPerHour: countsOf(f.RefusedLaunchesPerHour), Vault: a.vaultStatus().Body,
	}
	out.Health, _ = a.health(ctx)
	return &answer[v1.Stats]{out}, nil
}

func countsOf(counts []stats.Count) []v1.Count {
	out := make([]v1.Count, len(counts))
	for i, c := range counts {
		out[i] = v1.Count{From: c.From, Count: c.N}
	}
	return out
}
