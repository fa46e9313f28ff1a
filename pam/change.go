package pam

// Subject is the kind of object that a Change touched.
type Subject string

// The subjects on which live sessions and cached tokens rest.
const (
	SubjectOrg      Subject = "org"      // settings
	SubjectUser     Subject = "user"     // password, flags
	SubjectMember   Subject = "member"   // a membership of an organization
	SubjectLogin    Subject = "login"    // a login or a personal access token
	SubjectSafe     Subject = "safe"     // the Safe, its members, bindings, lock
	SubjectResource Subject = "resource" // a resource
	SubjectAccount  Subject = "account"  // an account or its credential
	SubjectSession  Subject = "session"  // a session that somebody wants ended
	SubjectGroup    Subject = "group"    // a group's members
	SubjectPolicy   Subject = "policy"   // a policy, or the Safes that it is assigned to
	SubjectGrant    Subject = "grant"    // a grant; the id is that of its user
	SubjectRequest  Subject = "request"  // an access request
	SubjectKeys     Subject = "keys"     // an organization's keys in the vault; there is no id
)

// Change says that something committed which others may rest on. It carries
// no content: whoever hears it reads again.
type Change struct {
	Org     OrgID   `json:"o"` // InstanceOrg when it concerns every organization of the object
	Subject Subject `json:"s"`
	ID      string  `json:"i"` // the object's id
}
