package v1

// VaultStatus says whether secrets can be reached.
type VaultStatus struct {
	Sealed      bool   `json:"sealed"`
	Initialized bool   `json:"initialized"`
	SealKind    string `json:"seal_kind"`
	Threshold   int    `json:"threshold,omitempty" doc:"Where shares open the vault: how many are needed"`
	Shares      int    `json:"shares,omitempty" doc:"Where shares open the vault: how many there are"`
	Progress    int    `json:"progress" doc:"How many shares were given since it was sealed"`
}

// UnsealIn is a share of the key that opens the vault. Without one, the seal is
// tried again.
type UnsealIn struct {
	Share string `json:"share,omitempty" maxLength:"256" writeOnly:"true"`
	Reset bool   `json:"reset,omitempty" doc:"Drop the shares that were given before"`
}
