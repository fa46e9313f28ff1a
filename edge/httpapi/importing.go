package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/account"
)

func (a *API) importAccounts(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.AccountImport], error) {
	body, err := decode[v1.AccountImportIn](a, nil, in.RawBody)
	clear(in.RawBody) // it holds secrets
	if err != nil {
		return nil, err
	}
	rows, err := importRows(body)
	if err != nil {
		return nil, err
	}
	done, err := a.Imports.Import(ctx, actor, rows, account.ImportOptions{DryRun: body.DryRun, CreateResources: body.CreateResources, Update: body.Update})
	if err != nil {
		return nil, err
	}
	out := v1.AccountImport{DryRun: body.DryRun, Rows: make([]v1.AccountImportResult, 0, len(done))}
	counts := map[account.Outcome]*int{account.WillCreate: &out.Created, account.WillUpdate: &out.Updated, account.WillSkip: &out.Skipped, account.Refused: &out.Failed}
	for _, d := range done {
		*counts[d.Outcome]++
		r := v1.AccountImportResult{
			Row: d.Row, Action: string(d.Outcome), Name: d.Name, AccountID: string(d.Account), ResourceID: string(d.Resource), CreatesResource: d.NewResource,
		}
		for _, p := range d.Problems {
			r.Details = append(r.Details, v1.Problem{Field: p.Field, Problem: p.Problem})
		}
		out.Rows = append(out.Rows, r)
	}
	return &answer[v1.AccountImport]{out}, nil
}

func importRows(body v1.AccountImportIn) ([]account.ImportRow, error) {
	if body.CSV != "" && len(body.Rows) > 0 {
		return nil, &pam.Error{Kind: pam.Invalid, Op: "import accounts", Fields: []pam.Problem{{Field: "csv", Problem: "does not go with rows"}}}
	}
	if body.CSV != "" {
		return account.ReadCSV([]byte(body.CSV))
	}
	rows := make([]account.ImportRow, len(body.Rows))
	for i, r := range body.Rows {
		row := account.ImportRow{Name: r.Name, Username: r.Username, At: account.Place{Ref: r.Resource, Type: pam.Protocol(r.Type), Host: r.Host, Port: r.Port}}
		if r.URL != "" {
			row.At.FromURL(r.URL, &row.Problems)
		}
		if r.Credential != nil {
			c := newCredential(*r.Credential)
			row.Credential = &c
		}
		rows[i] = row
	}
	return rows, nil
}
