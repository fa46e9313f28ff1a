package audit

import "strings"

// Type is the constant of an event, such as SESSION_STARTED.
type Type string

// The events, by category. The table at the end of this file is the one that
// the documentation is generated from.
const (
	// Identity.
	LoginSucceeded             Type = "LOGIN_SUCCEEDED"
	LoginFailed                Type = "LOGIN_FAILED"
	LoginFailuresAggregated    Type = "LOGIN_FAILURES_AGGREGATED"
	Logout                     Type = "LOGOUT"
	LoginRevoked               Type = "LOGIN_REVOKED"
	StepUpSucceeded            Type = "STEP_UP_SUCCEEDED"
	StepUpFailed               Type = "STEP_UP_FAILED"
	DeviceLoginApproved        Type = "DEVICE_LOGIN_APPROVED"
	DeviceLoginDenied          Type = "DEVICE_LOGIN_DENIED"
	PasswordChanged            Type = "PASSWORD_CHANGED"
	PasswordReset              Type = "PASSWORD_RESET"
	ProfileUpdated             Type = "PROFILE_UPDATED"
	MFAChallengeTriggered      Type = "MFA_CHALLENGE_TRIGGERED"
	MFAVerificationSucceeded   Type = "MFA_VERIFICATION_SUCCEEDED"
	MFAVerificationFailed      Type = "MFA_VERIFICATION_FAILED"
	MFASessionsInvalidated     Type = "MFA_SESSIONS_INVALIDATED"
	MFAFactorAdded             Type = "MFA_FACTOR_ADDED"
	MFAFactorRemoved           Type = "MFA_FACTOR_REMOVED"
	MFAFactorRenamed           Type = "MFA_FACTOR_RENAMED"
	MFARecoveryCodesCreated    Type = "MFA_RECOVERY_CODES_CREATED"
	MFAReset                   Type = "MFA_RESET"
	PersonalAccessTokenCreated Type = "PERSONAL_ACCESS_TOKEN_CREATED"
	PersonalAccessTokenRevoked Type = "PERSONAL_ACCESS_TOKEN_REVOKED"
	SSHKeyAdded                Type = "SSH_KEY_ADDED"
	SSHKeyRemoved              Type = "SSH_KEY_REMOVED"
	SSOIdentityLinked          Type = "SSO_IDENTITY_LINKED"
	SSOIdentityUnlinked        Type = "SSO_IDENTITY_UNLINKED"
	SSOLoginRefused            Type = "SSO_LOGIN_REFUSED"
	WorkloadTokenIssued        Type = "WORKLOAD_TOKEN_ISSUED"
	WorkloadTokenRefused       Type = "WORKLOAD_TOKEN_REFUSED"

	// Organization.
	OrganizationCreated    Type = "ORGANIZATION_CREATED"
	OrganizationUpdated    Type = "ORGANIZATION_UPDATED"
	MemberAdded            Type = "MEMBER_ADDED"
	MemberInvited          Type = "MEMBER_INVITED"
	MemberJoined           Type = "MEMBER_JOINED"
	MemberRemoved          Type = "MEMBER_REMOVED"
	MemberSuspended        Type = "MEMBER_SUSPENDED"
	MemberResumed          Type = "MEMBER_RESUMED"
	RoleAssignmentChanged  Type = "ROLE_ASSIGNMENT_CHANGED"
	InvitationRevoked      Type = "INVITATION_REVOKED"
	InvitationResent       Type = "INVITATION_RESENT"
	OwnershipTransferred   Type = "OWNERSHIP_TRANSFERRED"
	PasswordResetRequested Type = "PASSWORD_RESET_REQUESTED"
	MessageNotDelivered    Type = "MESSAGE_NOT_DELIVERED"
	WebhookCreated         Type = "WEBHOOK_CREATED"
	WebhookUpdated         Type = "WEBHOOK_UPDATED"
	WebhookDeleted         Type = "WEBHOOK_DELETED"
	WebhookSecretRotated   Type = "WEBHOOK_SECRET_ROTATED"
	WebhookTested          Type = "WEBHOOK_TESTED"
	WebhookDeliveryFailed  Type = "WEBHOOK_DELIVERY_FAILED"
	WebhookDisabled        Type = "WEBHOOK_DISABLED"
	GroupCreated           Type = "GROUP_CREATED"
	GroupUpdated           Type = "GROUP_UPDATED"
	GroupDeleted           Type = "GROUP_DELETED"
	GroupMemberAdded       Type = "GROUP_MEMBER_ADDED"
	GroupMemberRemoved     Type = "GROUP_MEMBER_REMOVED"
	SSOProviderCreated     Type = "SSO_PROVIDER_CREATED"
	SSOProviderUpdated     Type = "SSO_PROVIDER_UPDATED"
	SSOProviderDeleted     Type = "SSO_PROVIDER_DELETED"
	SSOSettingsUpdated     Type = "SSO_SETTINGS_UPDATED"
	WorkloadRuleCreated    Type = "WORKLOAD_RULE_CREATED"
	WorkloadRuleUpdated    Type = "WORKLOAD_RULE_UPDATED"
	WorkloadRuleDeleted    Type = "WORKLOAD_RULE_DELETED"
	SCIMTokenCreated       Type = "SCIM_TOKEN_CREATED"
	SCIMTokenDeleted       Type = "SCIM_TOKEN_DELETED"
	SCIMRefused            Type = "SCIM_REFUSED"
	MemberUpdated          Type = "MEMBER_UPDATED"

	// Access.
	SafeCreated              Type = "SAFE_CREATED"
	SafeUpdated              Type = "SAFE_UPDATED"
	SafeWeakened             Type = "SAFE_WEAKENED"
	SafeDeleted              Type = "SAFE_DELETED"
	SafeLocked               Type = "SAFE_LOCKED"
	SafeUnlocked             Type = "SAFE_UNLOCKED"
	SafeTakenOver            Type = "SAFE_TAKEN_OVER"
	SafeMemberAdded          Type = "SAFE_MEMBER_ADDED"
	SafeMemberUpdated        Type = "SAFE_MEMBER_UPDATED"
	SafeMemberRemoved        Type = "SAFE_MEMBER_REMOVED"
	UserAccessRequestCreated Type = "USER_ACCESS_REQUEST_CREATED"
	AccessRequestApproved    Type = "ACCESS_REQUEST_APPROVED"
	AccessRequestRejected    Type = "ACCESS_REQUEST_REJECTED"
	AccessRequestCancelled   Type = "ACCESS_REQUEST_CANCELLED"
	AccessRequestExpired     Type = "ACCESS_REQUEST_EXPIRED"
	AccessDelegationGranted  Type = "ACCESS_DELEGATION_GRANTED"
	AccessDelegationRevoked  Type = "ACCESS_DELEGATION_REVOKED"
	AccessDelegationEnded    Type = "ACCESS_DELEGATION_ENDED"
	PolicyAssignmentChanged  Type = "POLICY_ASSIGNMENT_CHANGED"
	PolicyEvaluated          Type = "POLICY_EVALUATED"
	PolicyCreated            Type = "POLICY_CREATED"
	PolicyUpdated            Type = "POLICY_UPDATED"
	PolicyActivated          Type = "POLICY_ACTIVATED"
	PolicyDisabled           Type = "POLICY_DISABLED"
	PolicyDeleted            Type = "POLICY_DELETED"
	ConfirmationRequested    Type = "CONFIRMATION_REQUESTED"
	ConfirmationConfirmed    Type = "CONFIRMATION_CONFIRMED"
	ConfirmationRejected     Type = "CONFIRMATION_REJECTED"
	AccessReviewStarted      Type = "ACCESS_REVIEW_STARTED"
	AccessReviewDecided      Type = "ACCESS_REVIEW_DECIDED"
	AccessReviewClosed       Type = "ACCESS_REVIEW_CLOSED"

	// Target.
	ResourceCreated         Type = "RESOURCE_CREATED"
	ResourceUpdated         Type = "RESOURCE_UPDATED"
	ResourceRedirected      Type = "RESOURCE_REDIRECTED"
	ResourceDeleted         Type = "RESOURCE_DELETED"
	ResourceProbed          Type = "RESOURCE_PROBED"
	ResourceHostKeyPinned   Type = "RESOURCE_HOST_KEY_PINNED"
	ResourceHostKeyMismatch Type = "RESOURCE_HOST_KEY_MISMATCH"

	// Credential.
	AccountCreated             Type = "ACCOUNT_CREATED"
	AccountUpdated             Type = "ACCOUNT_UPDATED"
	AccountRedirected          Type = "ACCOUNT_REDIRECTED"
	AccountDeleted             Type = "ACCOUNT_DELETED"
	CredentialSet              Type = "CREDENTIAL_SET"
	CredentialGenerated        Type = "CREDENTIAL_GENERATED"
	CredentialPromoted         Type = "CREDENTIAL_PROMOTED"
	CredentialPurged           Type = "CREDENTIAL_PURGED"
	CredentialChecked          Type = "CREDENTIAL_CHECKED"
	CredentialCheckedOut       Type = "CREDENTIAL_CHECKED_OUT"
	CredentialCheckoutExtended Type = "CREDENTIAL_CHECKOUT_EXTENDED"
	CredentialCheckedIn        Type = "CREDENTIAL_CHECKED_IN"
	CredentialInjected         Type = "CREDENTIAL_INJECTED"
	CredentialOpenFailed       Type = "CREDENTIAL_OPEN_FAILED"
	CredentialRotated          Type = "CREDENTIAL_ROTATED"
	CredentialRotationFailed   Type = "CREDENTIAL_ROTATION_FAILED"

	CredentialRotationStarted  Type = "CREDENTIAL_ROTATION_STARTED"
	CredentialRotationAdvanced Type = "CREDENTIAL_ROTATION_ADVANCED"
	CredentialDrifted          Type = "CREDENTIAL_DRIFTED"
	RotationSettingsChanged    Type = "ROTATION_SETTINGS_CHANGED"
	CredentialIssued           Type = "CREDENTIAL_ISSUED"
	SSHCACreated               Type = "SSH_CA_CREATED"
	SSHCARemoved               Type = "SSH_CA_REMOVED"
	LeaseCreated               Type = "LEASE_CREATED"
	LeaseFound                 Type = "LEASE_FOUND"
	LeaseRevocationStarted     Type = "LEASE_REVOCATION_STARTED"
	LeaseRevoked               Type = "LEASE_REVOKED"
	LeaseRevocationFailed      Type = "LEASE_REVOCATION_FAILED"
	LeaseForgotten             Type = "LEASE_FORGOTTEN"

	// Emergency.
	BreakGlassUsed       Type = "BREAK_GLASS_USED"
	BreakGlassRefused    Type = "BREAK_GLASS_REFUSED"
	BreakGlassKitCreated Type = "BREAK_GLASS_KIT_CREATED"

	// Session.
	SessionRefused    Type = "SESSION_REFUSED"
	SessionStarted    Type = "SESSION_STARTED"
	SessionEnded      Type = "SESSION_ENDED"
	SessionTerminated Type = "SESSION_TERMINATED"
	FileTransferred   Type = "FILE_TRANSFERRED"
	FileChanged       Type = "FILE_CHANGED"

	// Evidence.
	RecordingSealed             Type = "RECORDING_SEALED"
	RecordingRecovered          Type = "RECORDING_RECOVERED"
	RecordingOpened             Type = "RECORDING_OPENED"
	RecordingFailed             Type = "RECORDING_FAILED"
	RecordingDeleted            Type = "RECORDING_DELETED"
	RecordingDisabledForSession Type = "RECORDING_DISABLED_FOR_SESSION"
	AuditExported               Type = "AUDIT_EXPORTED"

	// Connectivity.
	AgentPairingInitiated   Type = "AGENT_PAIRING_INITIATED"
	AgentPairingCompleted   Type = "AGENT_PAIRING_COMPLETED"
	AgentPairingFailed      Type = "AGENT_PAIRING_FAILED"
	AgentHeartbeatReceived  Type = "AGENT_HEARTBEAT_RECEIVED"
	AgentConnectivityCheck  Type = "AGENT_CONNECTIVITY_CHECK"
	ConnectorRegistration   Type = "CONNECTOR_REGISTRATION"
	ConnectorUpgrade        Type = "CONNECTOR_UPGRADE"
	ConnectorDecommissioned Type = "CONNECTOR_DECOMMISSIONED"

	// Instance.
	ServerStarted    Type = "SERVER_STARTED"
	ServerStopped    Type = "SERVER_STOPPED"
	VaultInitialized Type = "VAULT_INITIALIZED"
	VaultSealed      Type = "VAULT_SEALED"
	VaultUnsealed    Type = "VAULT_UNSEALED"

	VaultKeyRotationStarted  Type = "VAULT_KEY_ROTATION_STARTED"
	VaultKeyRotationFinished Type = "VAULT_KEY_ROTATION_FINISHED"
	VaultKeyRemoved          Type = "VAULT_KEY_REMOVED"
	VaultShareGiven          Type = "VAULT_SHARE_GIVEN"
	VaultSharesDropped       Type = "VAULT_SHARES_DROPPED"
	VaultUnsealFailed        Type = "VAULT_UNSEAL_FAILED"
	VaultSealChanged         Type = "VAULT_SEAL_CHANGED"
)

// Spec is what the catalogue says of a type.
type Spec struct {
	Type     Type
	Title    string // the wire string, such as "Session Started"
	Category string
}

// Catalogue lists every event, in the order of the documentation.
var Catalogue = []Spec{
	{LoginSucceeded, title(LoginSucceeded), "identity"},
	{LoginFailed, title(LoginFailed), "identity"},
	{LoginFailuresAggregated, title(LoginFailuresAggregated), "identity"},
	{Logout, title(Logout), "identity"},
	{LoginRevoked, title(LoginRevoked), "identity"},
	{StepUpSucceeded, title(StepUpSucceeded), "identity"},
	{StepUpFailed, title(StepUpFailed), "identity"},
	{DeviceLoginApproved, title(DeviceLoginApproved), "identity"},
	{DeviceLoginDenied, title(DeviceLoginDenied), "identity"},
	{PasswordChanged, title(PasswordChanged), "identity"},
	{PasswordReset, title(PasswordReset), "identity"},
	{ProfileUpdated, title(ProfileUpdated), "identity"},
	{MFAChallengeTriggered, title(MFAChallengeTriggered), "identity"},
	{MFAVerificationSucceeded, title(MFAVerificationSucceeded), "identity"},
	{MFAVerificationFailed, title(MFAVerificationFailed), "identity"},
	{MFASessionsInvalidated, title(MFASessionsInvalidated), "identity"},
	{MFAFactorAdded, title(MFAFactorAdded), "identity"},
	{MFAFactorRemoved, title(MFAFactorRemoved), "identity"},
	{MFAFactorRenamed, title(MFAFactorRenamed), "identity"},
	{MFARecoveryCodesCreated, title(MFARecoveryCodesCreated), "identity"},
	{MFAReset, title(MFAReset), "identity"},
	{PersonalAccessTokenCreated, title(PersonalAccessTokenCreated), "identity"},
	{PersonalAccessTokenRevoked, title(PersonalAccessTokenRevoked), "identity"},
	{SSHKeyAdded, title(SSHKeyAdded), "identity"},
	{SSHKeyRemoved, title(SSHKeyRemoved), "identity"},
	{SSOIdentityLinked, title(SSOIdentityLinked), "identity"},
	{SSOIdentityUnlinked, title(SSOIdentityUnlinked), "identity"},
	{SSOLoginRefused, title(SSOLoginRefused), "identity"},
	{WorkloadTokenIssued, title(WorkloadTokenIssued), "identity"},
	{WorkloadTokenRefused, title(WorkloadTokenRefused), "identity"},
	{OrganizationCreated, title(OrganizationCreated), "organization"},
	{OrganizationUpdated, title(OrganizationUpdated), "organization"},
	{MemberAdded, title(MemberAdded), "organization"},
	{MemberInvited, title(MemberInvited), "organization"},
	{MemberJoined, title(MemberJoined), "organization"},
	{MemberRemoved, title(MemberRemoved), "organization"},
	{MemberSuspended, title(MemberSuspended), "organization"},
	{MemberResumed, title(MemberResumed), "organization"},
	{RoleAssignmentChanged, title(RoleAssignmentChanged), "organization"},
	{InvitationRevoked, title(InvitationRevoked), "organization"},
	{InvitationResent, title(InvitationResent), "organization"},
	{OwnershipTransferred, title(OwnershipTransferred), "organization"},
	{PasswordResetRequested, title(PasswordResetRequested), "organization"},
	{MessageNotDelivered, title(MessageNotDelivered), "organization"},
	{WebhookCreated, title(WebhookCreated), "organization"},
	{WebhookUpdated, title(WebhookUpdated), "organization"},
	{WebhookDeleted, title(WebhookDeleted), "organization"},
	{WebhookSecretRotated, title(WebhookSecretRotated), "organization"},
	{WebhookTested, title(WebhookTested), "organization"},
	{WebhookDeliveryFailed, title(WebhookDeliveryFailed), "organization"},
	{WebhookDisabled, title(WebhookDisabled), "organization"},
	{GroupCreated, title(GroupCreated), "organization"},
	{GroupUpdated, title(GroupUpdated), "organization"},
	{GroupDeleted, title(GroupDeleted), "organization"},
	{GroupMemberAdded, title(GroupMemberAdded), "organization"},
	{GroupMemberRemoved, title(GroupMemberRemoved), "organization"},
	{SSOProviderCreated, title(SSOProviderCreated), "organization"},
	{SSOProviderUpdated, title(SSOProviderUpdated), "organization"},
	{SSOProviderDeleted, title(SSOProviderDeleted), "organization"},
	{SSOSettingsUpdated, title(SSOSettingsUpdated), "organization"},
	{WorkloadRuleCreated, title(WorkloadRuleCreated), "organization"},
	{WorkloadRuleUpdated, title(WorkloadRuleUpdated), "organization"},
	{WorkloadRuleDeleted, title(WorkloadRuleDeleted), "organization"},
	{SCIMTokenCreated, title(SCIMTokenCreated), "organization"},
	{SCIMTokenDeleted, title(SCIMTokenDeleted), "organization"},
	{SCIMRefused, title(SCIMRefused), "organization"},
	{MemberUpdated, title(MemberUpdated), "organization"},
	{SafeCreated, title(SafeCreated), "access"},
	{SafeUpdated, title(SafeUpdated), "access"},
	{SafeWeakened, title(SafeWeakened), "access"},
	{SafeDeleted, title(SafeDeleted), "access"},
	{SafeLocked, title(SafeLocked), "access"},
	{SafeUnlocked, title(SafeUnlocked), "access"},
	{SafeTakenOver, title(SafeTakenOver), "access"},
	{SafeMemberAdded, title(SafeMemberAdded), "access"},
	{SafeMemberUpdated, title(SafeMemberUpdated), "access"},
	{SafeMemberRemoved, title(SafeMemberRemoved), "access"},
	{UserAccessRequestCreated, title(UserAccessRequestCreated), "access"},
	{AccessRequestApproved, title(AccessRequestApproved), "access"},
	{AccessRequestRejected, title(AccessRequestRejected), "access"},
	{AccessRequestCancelled, title(AccessRequestCancelled), "access"},
	{AccessRequestExpired, title(AccessRequestExpired), "access"},
	{AccessDelegationGranted, title(AccessDelegationGranted), "access"},
	{AccessDelegationRevoked, title(AccessDelegationRevoked), "access"},
	{AccessDelegationEnded, title(AccessDelegationEnded), "access"},
	{PolicyAssignmentChanged, title(PolicyAssignmentChanged), "access"},
	{PolicyEvaluated, title(PolicyEvaluated), "access"},
	{ConfirmationRequested, title(ConfirmationRequested), "access"},
	{ConfirmationConfirmed, title(ConfirmationConfirmed), "access"},
	{PolicyCreated, title(PolicyCreated), "access"},
	{PolicyUpdated, title(PolicyUpdated), "access"},
	{PolicyActivated, title(PolicyActivated), "access"},
	{PolicyDisabled, title(PolicyDisabled), "access"},
	{PolicyDeleted, title(PolicyDeleted), "access"},
	{ConfirmationRejected, title(ConfirmationRejected), "access"},
	{AccessReviewStarted, title(AccessReviewStarted), "access"},
	{AccessReviewDecided, title(AccessReviewDecided), "access"},
	{AccessReviewClosed, title(AccessReviewClosed), "access"},
	{ResourceCreated, title(ResourceCreated), "target"},
	{ResourceUpdated, title(ResourceUpdated), "target"},
	{ResourceRedirected, title(ResourceRedirected), "target"},
	{ResourceDeleted, title(ResourceDeleted), "target"},
	{ResourceProbed, title(ResourceProbed), "target"},
	{ResourceHostKeyPinned, title(ResourceHostKeyPinned), "target"},
	{ResourceHostKeyMismatch, title(ResourceHostKeyMismatch), "target"},
	{AccountCreated, title(AccountCreated), "credential"},
	{AccountUpdated, title(AccountUpdated), "credential"},
	{AccountRedirected, title(AccountRedirected), "credential"},
	{AccountDeleted, title(AccountDeleted), "credential"},
	{CredentialSet, title(CredentialSet), "credential"},
	{CredentialGenerated, title(CredentialGenerated), "credential"},
	{CredentialPromoted, title(CredentialPromoted), "credential"},
	{CredentialPurged, title(CredentialPurged), "credential"},
	{CredentialChecked, title(CredentialChecked), "credential"},
	{CredentialCheckedOut, title(CredentialCheckedOut), "credential"},
	{CredentialCheckoutExtended, title(CredentialCheckoutExtended), "credential"},
	{CredentialCheckedIn, title(CredentialCheckedIn), "credential"},
	{CredentialInjected, title(CredentialInjected), "credential"},
	{CredentialOpenFailed, title(CredentialOpenFailed), "credential"},
	{CredentialRotated, title(CredentialRotated), "credential"},
	{CredentialRotationFailed, title(CredentialRotationFailed), "credential"},
	{CredentialRotationStarted, title(CredentialRotationStarted), "credential"},
	{CredentialRotationAdvanced, title(CredentialRotationAdvanced), "credential"},
	{CredentialDrifted, title(CredentialDrifted), "credential"},
	{RotationSettingsChanged, title(RotationSettingsChanged), "credential"},
	{CredentialIssued, title(CredentialIssued), "credential"},
	{SSHCACreated, title(SSHCACreated), "credential"},
	{SSHCARemoved, title(SSHCARemoved), "credential"},
	{LeaseCreated, title(LeaseCreated), "credential"},
	{LeaseFound, title(LeaseFound), "credential"},
	{LeaseRevocationStarted, title(LeaseRevocationStarted), "credential"},
	{LeaseRevoked, title(LeaseRevoked), "credential"},
	{LeaseRevocationFailed, title(LeaseRevocationFailed), "credential"},
	{LeaseForgotten, title(LeaseForgotten), "credential"},
	{BreakGlassUsed, title(BreakGlassUsed), "emergency"},
	{BreakGlassRefused, title(BreakGlassRefused), "emergency"},
	{BreakGlassKitCreated, title(BreakGlassKitCreated), "emergency"},
	{SessionRefused, title(SessionRefused), "session"},
	{SessionStarted, title(SessionStarted), "session"},
	{SessionEnded, title(SessionEnded), "session"},
	{SessionTerminated, title(SessionTerminated), "session"},
	{FileTransferred, title(FileTransferred), "session"},
	{FileChanged, title(FileChanged), "session"},
	{RecordingSealed, title(RecordingSealed), "evidence"},
	{RecordingRecovered, title(RecordingRecovered), "evidence"},
	{RecordingOpened, title(RecordingOpened), "evidence"},
	{RecordingFailed, title(RecordingFailed), "evidence"},
	{RecordingDeleted, title(RecordingDeleted), "evidence"},
	{RecordingDisabledForSession, title(RecordingDisabledForSession), "evidence"},
	{AuditExported, title(AuditExported), "evidence"},
	{AgentPairingInitiated, title(AgentPairingInitiated), "connectivity"},
	{AgentPairingCompleted, title(AgentPairingCompleted), "connectivity"},
	{AgentPairingFailed, title(AgentPairingFailed), "connectivity"},
	{AgentHeartbeatReceived, title(AgentHeartbeatReceived), "connectivity"},
	{AgentConnectivityCheck, title(AgentConnectivityCheck), "connectivity"},
	{ConnectorRegistration, title(ConnectorRegistration), "connectivity"},
	{ConnectorUpgrade, title(ConnectorUpgrade), "connectivity"},
	{ConnectorDecommissioned, title(ConnectorDecommissioned), "connectivity"},
	{ServerStarted, title(ServerStarted), "instance"},
	{ServerStopped, title(ServerStopped), "instance"},
	{VaultInitialized, title(VaultInitialized), "instance"},
	{VaultSealed, title(VaultSealed), "instance"},
	{VaultUnsealed, title(VaultUnsealed), "instance"},
	{VaultKeyRotationStarted, title(VaultKeyRotationStarted), "instance"},
	{VaultKeyRotationFinished, title(VaultKeyRotationFinished), "instance"},
	{VaultKeyRemoved, title(VaultKeyRemoved), "instance"},
	{VaultShareGiven, title(VaultShareGiven), "instance"},
	{VaultSharesDropped, title(VaultSharesDropped), "instance"},
	{VaultUnsealFailed, title(VaultUnsealFailed), "instance"},
	{VaultSealChanged, title(VaultSealChanged), "instance"},
}

var specs = func() map[Type]Spec {
	m := make(map[Type]Spec, len(Catalogue))
	for _, s := range Catalogue {
		m[s.Type] = s
	}
	return m
}()

// SpecOf returns what the catalogue says of t; ok is false for a type that is
// not in it.
func SpecOf(t Type) (s Spec, ok bool) {
	s, ok = specs[t]
	return s, ok
}

// title makes "Session Started" of SESSION_STARTED; abbreviations stay.
func title(t Type) string {
	words := strings.Split(string(t), "_")
	for i, w := range words {
		if w != "SSH" && w != "MFA" && w != "SSO" && w != "SCIM" && w != "CA" {
			words[i] = w[:1] + strings.ToLower(w[1:])
		}
	}
	return strings.Join(words, " ")
}
