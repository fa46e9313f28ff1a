package rotation

import (
	"context"

	"vaultpam/pam"
)

// letters are those that leave as r enters its state: when it fails, waits for
// a person, or leaves a copy behind. Of a failure that follows another they
// would say the same every hour: whoever manages the account knows it until a
// rotation comes out otherwise.
func (s *Service) letters(ctx context.Context, r Rotation) []pam.Outgoing {
	if s.Write == nil || r.State != Stuck && r.State != Failed && (r.State != Done || r.Problem == "") {
		return nil
	}
	if r.State == Failed {
		before, err := s.Store.ListRotations(ctx, r.Org, Query{Account: r.Account, All: true, After: r.ID, Limit: 1})
		if err != nil {
			s.Log.Warn("nobody knows whether the rotation before has failed", "rotation", r.ID, "error", err)
		}
		if len(before) > 0 && before[0].State == Failed {
			return nil
		}
	}
	return s.Write(ctx, r)
}
