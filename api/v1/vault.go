package v1

// VaultStatus says whether secrets can be reached.
type VaultStatus struct {
	Sealed      bool   `json:"sealed"`
	Initialized bool   `json:"initialized"`
	SealKind    string `json:"seal_kind"`
}
