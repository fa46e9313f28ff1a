package httpapi

import (
	"net/http"

	v1 "vaultpam/api/v1"
)

// routes is the whole API on one screen: the endpoint, what it does, who may
// call it at all, the scope of a personal access token ("-": none reaches
// it), the status of success, and what is special.
func (a *API) routes() {
	const ok, created, none = http.StatusOK, http.StatusCreated, http.StatusNoContent

	serve(a, route{"POST /auth/login", "Sign in with e-mail and password", public, "", ok, countLogin | secrets, nil}, a.postLogin)
	serve(a, route{"POST /auth/cookie", "Sign in to the console; the login comes as a cookie", public, "", ok, countLogin | secrets | byCookie, nil}, a.postCookie)
	serve(a, route{"GET /auth/cookie", "The console's login, and its CSRF token", person, "-", ok, byCookie, nil}, a.getCookie)
	serve(a, route{"DELETE /auth/cookie", "Sign out of the console", person, "-", none, byCookie, nil}, a.deleteCookie)
	serve(a, route{"POST /auth/device", "Ask for a login that a person approves in the console", public, "", ok, countLogin | secrets, nil}, a.postDevice)
	serve(a, route{"POST /auth/device/token", "Fetch that login", public, "", ok, secrets, nil}, a.postDeviceToken)
	serve(a, route{"GET /auth/device/{user_code}", "See which program asks for a login of yours", person, "-", ok, sensitive, nil}, a.getDevice)
	serve(a, route{"POST /auth/device/{user_code}/approve", "Let it have one", person, "-", ok, sensitive, nil}, a.approveDevice)
	serve(a, route{"POST /auth/device/{user_code}/deny", "Refuse it", person, "-", ok, sensitive, nil}, a.denyDevice)
	serve(a, route{"POST /auth/logout", "End this login", person, "-", none, 0, nil}, a.postLogout)
	serve(a, route{"POST /auth/step-up", "Authenticate anew for a risky act", person, "-", ok, countLogin, nil}, a.postStepUp)

	serve(a, route{"GET /me", "Who you are", person, "", ok, 0, nil}, a.getMe)
	serve(a, route{"PATCH /me", "Change your name", person, "-", ok, 0, typeOf[v1.MeIn]()}, a.patchMe)
	serve(a, route{"PUT /me/password", "Change your password", person, "-", none, sensitive | restricted, nil}, a.putPassword)
	serve(a, route{"GET /me/logins", "Your logins", person, "-", ok, 0, nil}, a.listLogins)
	serve(a, route{"DELETE /me/logins/{id}", "End one of your logins", person, "-", none, 0, nil}, a.deleteLogin)
	serve(a, route{"GET /me/ssh-keys", "Your SSH public keys", person, "-", ok, 0, nil}, a.listSSHKeys)
	serve(a, route{"POST /me/ssh-keys", "Register an SSH public key", person, "-", created, sensitive, nil}, a.postSSHKey)
	serve(a, route{"DELETE /me/ssh-keys/{id}", "Remove an SSH public key", person, "-", none, sensitive, nil}, a.deleteSSHKey)
	serve(a, route{"POST /me/memberships/{org_id}/accept", "Accept an invitation", person, "-", ok, 0, nil}, a.acceptMembership)
	serve(a, route{"GET /personal-access-tokens", "Your tokens for this organization", member, "-", ok, 0, nil}, a.listTokens)
	serve(a, route{"POST /personal-access-tokens", "Make a token; it is shown this once", member, "-", created, sensitive | secrets, nil}, a.postToken)
	serve(a, route{"DELETE /personal-access-tokens/{id}", "Revoke a token", member, "-", none, 0, nil}, a.deleteToken)

	serve(a, route{"GET /org/memberships", "Your organizations", person, "", ok, 0, nil}, a.getMemberships)
	serve(a, route{"GET /org", "The organization and its settings", member, "org:read", ok, 0, nil}, a.getOrg)
	serve(a, route{"PATCH /org", "Change the organization", member, "org:write", ok, sensitive, typeOf[v1.OrgIn]()}, a.patchOrg)
	serve(a, route{"GET /org/members", "The organization's members", member, "members:read", ok, 0, nil}, a.listMembers)
	serve(a, route{"POST /org/members", "Add a member", member, "members:write", created, sensitive, nil}, a.postMember)
	serve(a, route{"GET /org/members/{user_id}", "One member", member, "members:read", ok, 0, nil}, a.getMember)
	serve(a, route{"PATCH /org/members/{user_id}", "Change a member's role", member, "members:write", ok, sensitive, typeOf[v1.MemberPatch]()}, a.patchMember)
	serve(a, route{"DELETE /org/members/{user_id}", "Remove a member", member, "members:write", none, sensitive, nil}, a.deleteMember)
	serve(a, route{"POST /org/members/{user_id}/suspend", "Suspend a member", member, "members:write", ok, sensitive, nil}, a.suspendMember)
	serve(a, route{"POST /org/members/{user_id}/resume", "End a suspension", member, "members:write", ok, sensitive, nil}, a.resumeMember)
	serve(a, route{"GET /org/groups", "The organization's groups; a page ends early where they are large", member, "groups:read", ok, 0, nil}, a.listGroups)
	serve(a, route{"POST /org/groups", "Make a group", member, "groups:write", created, sensitive, typeOf[v1.GroupIn]()}, a.postGroup)
	serve(a, route{"GET /org/groups/{id}", "One group", member, "groups:read", ok, 0, nil}, a.getGroup)
	serve(a, route{"PATCH /org/groups/{id}", "Change a group; member_ids replaces all", member, "groups:write", ok, sensitive, typeOf[v1.GroupIn]()}, a.patchGroup)
	serve(a, route{"DELETE /org/groups/{id}", "Delete a group; what rested on it ends", member, "groups:write", none, sensitive, nil}, a.deleteGroup)
	serve(a, route{"GET /org/groups/{id}/members", "A group's members", member, "groups:read", ok, 0, nil}, a.listGroupMembers)
	serve(a, route{"PUT /org/groups/{id}/members/{user_id}", "Bring one user into a group", member, "groups:write", ok, sensitive, nil}, a.putGroupMember)
	serve(a, route{"DELETE /org/groups/{id}/members/{user_id}", "Take one user out of a group", member, "groups:write", none, sensitive, nil}, a.deleteGroupMember)
	serve(a, route{"GET /organizations", "All organizations, for an administrator of the instance", person, "-", ok, 0, nil}, a.listOrganizations)
	serve(a, route{"POST /organizations", "Make an organization", person, "-", created, sensitive, nil}, a.postOrganization)

	serve(a, route{"GET /safes", "The Safes that you may see", member, "safes:read", ok, 0, nil}, a.listSafes)
	serve(a, route{"POST /safes", "Create a Safe", member, "safes:write", created, 0, typeOf[v1.SafeIn]()}, a.postSafe)
	serve(a, route{"GET /safes/{id}", "One Safe", member, "safes:read", ok, 0, nil}, a.getSafe)
	serve(a, route{"PATCH /safes/{id}", "Change a Safe", member, "safes:write", ok, 0, typeOf[v1.SafeIn]()}, a.patchSafe)
	serve(a, route{"DELETE /safes/{id}", "Delete a Safe", member, "safes:write", none, 0, nil}, a.deleteSafe)
	serve(a, route{"POST /safes/{id}/lock", "Lock a Safe; its sessions end", member, "safes:write", ok, 0, nil}, a.lockSafe)
	serve(a, route{"POST /safes/{id}/unlock", "Unlock a Safe", member, "safes:write", ok, 0, nil}, a.unlockSafe)
	serve(a, route{"POST /safes/{id}/take-over", "Become manager of a Safe that has none", member, "-", ok, sensitive, nil}, a.takeOverSafe)
	serve(a, route{"GET /safes/{id}/members", "A Safe's members", member, "safes:read", ok, 0, nil}, a.listSafeMembers)
	serve(a, route{"POST /safes/{id}/members", "Give somebody a role in a Safe", member, "safes:write", created, sensitive, typeOf[v1.SafeMemberIn]()}, a.postSafeMember)
	serve(a, route{"GET /safes/{id}/members/{member_id}", "One member of a Safe", member, "safes:read", ok, 0, nil}, a.getSafeMember)
	serve(a, route{"PATCH /safes/{id}/members/{member_id}", "Change a member of a Safe", member, "safes:write", ok, sensitive, typeOf[v1.SafeMemberPatch]()}, a.patchSafeMember)
	serve(a, route{"DELETE /safes/{id}/members/{member_id}", "Remove a member of a Safe", member, "safes:write", none, sensitive, nil}, a.deleteSafeMember)

	serve(a, route{"GET /resources", "The resources that you may see", member, "resources:read", ok, 0, nil}, a.listResources)
	serve(a, route{"POST /resources", "Register a resource", member, "resources:write", created, 0, typeOf[v1.ResourceIn]()}, a.postResource)
	serve(a, route{"GET /resources/{id}", "One resource", member, "resources:read", ok, 0, nil}, a.getResource)
	serve(a, route{"PATCH /resources/{id}", "Change a resource", member, "resources:write", ok, 0, typeOf[v1.ResourceIn]()}, a.patchResource)
	serve(a, route{"DELETE /resources/{id}", "Delete a resource", member, "resources:write", none, 0, nil}, a.deleteResource)
	serve(a, route{"POST /resources/{id}/probe", "See whether it answers, and its host key", member, "resources:read", ok, 0, nil}, a.probeResource)

	serve(a, route{"GET /accounts", "The accounts that you may see", member, "accounts:read", ok, 0, nil}, a.listAccounts)
	serve(a, route{"POST /accounts", "Create an account", member, "accounts:write", created, 0, typeOf[v1.AccountIn]()}, a.postAccount)
	serve(a, route{"GET /accounts/{id}", "One account", member, "accounts:read", ok, 0, nil}, a.getAccount)
	serve(a, route{"PATCH /accounts/{id}", "Change an account", member, "accounts:write", ok, 0, typeOf[v1.AccountPatch]()}, a.patchAccount)
	serve(a, route{"DELETE /accounts/{id}", "Delete an account", member, "accounts:write", none, 0, nil}, a.deleteAccount)
	serve(a, route{"PUT /accounts/{id}/credential", "Put a new secret into the vault", member, "-", ok, sensitive, typeOf[v1.CredentialIn]()}, a.putCredential)
	serve(a, route{"POST /accounts/{id}/check", "Log in with the credential, and out", member, "accounts:read", ok, sensitive | bodyOptional, typeOf[v1.CredentialCheckIn]()}, a.checkAccount)
	serve(a, route{"GET /accounts/{id}/versions", "The history of the credential", member, "accounts:read", ok, 0, nil}, a.listVersions)

	serve(a, route{"GET /checkouts", "Active checkouts", member, "safes:read", ok, 0, nil}, a.listCheckouts)
	serve(a, route{"POST /checkouts", "Reveal a secret", member, "credentials:checkout", created, sensitive | secrets, nil}, a.postCheckout)
	serve(a, route{"GET /checkouts/{id}", "One checkout", member, "safes:read", ok, 0, nil}, a.getCheckout)
	serve(a, route{"POST /checkouts/{id}/check-in", "Give a secret back", member, "credentials:checkout", ok, 0, nil}, a.checkIn)

	serve(a, route{"GET /confirmations", "Changes that wait for a manager", member, "safes:read", ok, 0, nil}, a.listConfirmations)
	serve(a, route{"GET /confirmations/{id}", "One such change", member, "safes:read", ok, 0, nil}, a.getConfirmation)
	serve(a, route{"POST /confirmations/{id}/confirm", "Confirm it", member, "-", ok, sensitive, nil}, a.confirm)
	serve(a, route{"POST /confirmations/{id}/reject", "Reject it", member, "-", ok, sensitive, nil}, a.reject)

	serve(a, route{"GET /policies", "Policies, newest first", member, "policies:read", ok, 0, nil}, a.listPolicies)
	serve(a, route{"POST /policies", "Make a policy, as a draft", member, "policies:write", created, sensitive, typeOf[v1.PolicyIn]()}, a.postPolicy)
	serve(a, route{"GET /policies/templates", "Policies to begin with", member, "policies:read", ok, 0, nil}, a.listPolicyTemplates)
	serve(a, route{"GET /policies/{id}", "One policy", member, "policies:read", ok, 0, nil}, a.getPolicy)
	serve(a, route{"PATCH /policies/{id}", "Change a policy; an active one at once", member, "policies:write", ok, sensitive, typeOf[v1.PolicyIn]()}, a.patchPolicy)
	serve(a, route{"DELETE /policies/{id}", "Delete a policy; 202 where managers have to confirm first", member, "policies:write", none, sensitive, nil}, a.deletePolicy)
	serve(a, route{"POST /policies/{id}/activate", "Let a policy count", member, "policies:write", ok, sensitive, nil}, a.activatePolicy)
	serve(a, route{"POST /policies/{id}/disable", "Let a policy count no more", member, "policies:write", ok, sensitive, nil}, a.disablePolicy)
	serve(a, route{"POST /policies/{id}/preview", "What it would have changed in the last days", member, "policies:write", ok, sensitive | bodyOptional, typeOf[v1.PolicyPreviewIn]()}, a.previewPolicy)
	serve(a, route{"POST /access-decisions", "Try a decision, and learn why", member, "policies:read", ok, 0, nil}, a.postAccessDecision)

	serve(a, route{"GET /sessions", "Sessions, newest first", member, "sessions:read", ok, 0, nil}, a.listSessions)
	serve(a, route{"POST /sessions", "Launch a session", member, "sessions:launch", created, secrets, nil}, a.postSession)
	serve(a, route{"GET /sessions/{id}", "One session", member, "sessions:read", ok, 0, nil}, a.getSession)
	serve(a, route{"GET /sessions/{id}/terminal", "A terminal in the browser: a WebSocket, docs/formats/terminal.md", ticketed, "sessions:launch", http.StatusSwitchingProtocols, 0, nil}, a.getTerminal)
	serve(a, route{"POST /sessions/{id}/terminate", "End a session now", member, "sessions:terminate", ok, bodyOptional, typeOf[v1.TerminateIn]()}, a.terminateSession)

	serve(a, route{"GET /recordings", "Recordings, newest first", member, "recordings:read", ok, 0, nil}, a.listRecordings)
	serve(a, route{"GET /recordings/{id}", "One recording", member, "recordings:read", ok, 0, nil}, a.getRecording)
	serve(a, route{"GET /recordings/{id}/content", "The recording as asciicast v2", member, "recordings:read", ok, 0, nil}, a.getContent)
	serve(a, route{"GET /recordings/{id}/verify", "Check a recording", member, "recordings:read", ok, 0, nil}, a.verifyRecording)

	serve(a, route{"GET /recordings/{id}/chunks", "What is needed to check a recording oneself", member, "recordings:read", ok, 0, nil}, a.listChunks)
	serve(a, route{"GET /recordings/{id}/chunks/{n}", "One encrypted chunk, with its proof", member, "recordings:read", ok, 0, nil}, a.getChunk)
	serve(a, route{"POST /recordings/{id}/key", "The key that opens the chunks", member, "recordings:read", ok, sensitive | secrets, nil}, a.postRecordingKey)

	serve(a, route{"GET /stats", "Figures of the organization", member, "org:read", ok, 0, nil}, a.getStats)

	serve(a, route{"GET /audit-events", "The audit log, newest first", member, "audit:read", ok, 0, nil}, a.listEvents)
	serve(a, route{"GET /audit-events/{id}", "One event", member, "audit:read", ok, 0, nil}, a.getEvent)
	serve(a, route{"GET /audit-events/export", "The audit log with its signed checkpoint", member, "audit:read", ok, 0, nil}, a.exportEvents)
	serve(a, route{"GET /audit-log/checkpoint", "The log's signed checkpoint", member, "audit:read", ok, 0, nil}, a.getCheckpoint)
	serve(a, route{"GET /audit-log/proof", "An inclusion or consistency proof", member, "audit:read", ok, 0, nil}, a.getProof)

	serve(a, route{"GET /vault/status", "Whether the vault is sealed", public, "", ok, whenSealed, nil}, a.getVault)
	serve(a, route{"POST /vault/seal", "Seal the vault, for an administrator of the instance", person, "-", ok, sensitive, nil}, a.sealVault)
	serve(a, route{"POST /vault/unseal", "Open the vault", public, "", ok, whenSealed | countLogin, nil}, a.unsealVault)
}
