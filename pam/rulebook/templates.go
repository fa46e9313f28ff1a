package rulebook

import (
	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Template is a policy to begin with.
type Template struct {
	ID string
	Settings
}

// Templates are the usual ones. Whoever takes one changes what is particular
// to them: the time zone, the ranges, the people.
func Templates() []Template {
	weekdays := []string{"mon", "tue", "wed", "thu", "fri"}
	return []Template{
		{"office-hours", Settings{
			Name: "Office hours", Description: "Opens on working days between 08:00 and 18:00, and at no other time.", Action: policy.Allow,
			Conditions: policy.Conditions{TimeWindow: &policy.Hours{TimeZone: "UTC", Windows: []policy.Window{{Days: weekdays, From: "08:00", To: "18:00"}}}},
		}},
		{"private-networks", Settings{
			Name: "From our networks", Description: "Opens to addresses of private networks, and to no other.", Action: policy.Allow,
			Conditions: policy.Conditions{SourceIPs: []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}},
		}},
		{"second-factor", Settings{
			Name: "With a second factor", Description: "Opens to whoever has shown a second factor.", Action: policy.Allow,
			Conditions: policy.Conditions{MFARequired: true},
		}},
		{"no-weekends", Settings{
			Name: "Not on weekends", Description: "Refuses everybody on Saturdays and Sundays.", Action: policy.Deny,
			Conditions: policy.Conditions{TimeWindow: &policy.Hours{TimeZone: "UTC", Windows: []policy.Window{{Days: []string{"sat", "sun"}, From: "00:00", To: "24:00"}}}},
		}},
		{"approval-outside-office-hours", Settings{
			Name: "Approval outside of office hours", Description: "Asks for the approval of one person at night and on weekends.", Action: policy.RequireApproval,
			JIT: &policy.JIT{Approvers: 1, MaxSeconds: 4 * 60 * 60, AutoExpire: true},
			Conditions: policy.Conditions{TimeWindow: &policy.Hours{TimeZone: "UTC", Windows: []policy.Window{
				{Days: weekdays, From: "18:00", To: "08:00"}, {Days: []string{"sat", "sun"}, From: "00:00", To: "24:00"}, {Days: []string{"mon"}, From: "00:00", To: "08:00"},
			}}},
		}},
		{"four-eyes-on-databases", Settings{
			Name: "Four eyes on databases", Description: "Asks for the approval of two different people before a database is reached.", Action: policy.RequireApproval,
			JIT:        &policy.JIT{Approvers: 2, MaxSeconds: 2 * 60 * 60, AutoExpire: true},
			Conditions: policy.Conditions{ResourceTypes: []pam.Protocol{pam.PostgreSQL, pam.MySQL, pam.Redis, pam.MSSQL, pam.MongoDB}},
		}},
	}
}
