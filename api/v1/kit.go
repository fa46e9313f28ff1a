package v1

// KitIn asks for the sealed offline kit of a Safe.
type KitIn struct {
	Shares    int    `json:"shares" minimum:"2" maximum:"255"`
	Threshold int    `json:"threshold" minimum:"2" maximum:"255" doc:"How many of the shares open the kit"`
	Reason    string `json:"reason" maxLength:"1024"`
}

// Kit is every stored secret of a Safe, sealed in one file, and the shares
// that open it. Neither is kept.
type Kit struct {
	ID       string   `json:"kit_id"`
	Kit      string   `json:"kit" doc:"The file (docs/formats/kit.md)"`
	Shares   []string `json:"shares" doc:"What opens it, this once: one for each person"`
	Accounts int      `json:"accounts" doc:"How many secrets are in it"`
	LeftOut  []KitGap `json:"left_out" doc:"Accounts of the Safe that have no stored secret"`
}

// KitGap is an account that a kit does not hold.
type KitGap struct {
	ID   string `json:"account_id"`
	Name string `json:"name"`
}
