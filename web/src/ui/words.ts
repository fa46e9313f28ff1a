// The API words its refusals in English. What people meet often is said in
// their language; all else as the API words it, which is better than nothing.
import type { TFunction } from "i18next";

/** What the API says → the key of our text, and the numbers in it. */
const known: [RegExp, string, ...string[]][] = [
  [/^is (required|empty)$/, "required"],
  [/^is longer than (\d+) (?:characters|bytes)$/, "atMost", "n"],
  [/^must have at least (\d+) characters$/, "atLeast", "n"],
  [/^must have at most (\d+) bytes$/, "atMost", "n"],
  [/^must be (?:between )?(\d+) (?:to|and) (\d+)$/, "range", "a", "b"],
  [/^is not an e-mail address$/, "email"],
  [/^is one of those that everybody tries$/, "common"],
  [/^is the one in use$/, "inUse"],
  [/^(is not a host name or an address|must be a name or an address, without scheme or path)$/, "host"],
  [/^(must be one OpenSSH public key a line|is not an OpenSSH public key line)$/, "hostKey"],
  [/^is not an OpenSSH public key$/, "publicKey"],
  [/^is not a private key in OpenSSH or PEM form$/, "privateKey"],
  [/^is required: the key is encrypted$/, "passphraseNeeded"],
  [/^does not open the key$/, "passphraseWrong"],
  [/^Authentication failed\.$/, "authFailed"],
  [/^Some fields are not acceptable\.$/, "fields"],
  [/^There is no such object\.$/, "notFound"],
  [/^You do not have permission to do this\.$/, "forbidden"],
  [/^Something went wrong on our side\.$/, "internal"],
  [/^This cannot be done right now\.$/, "unavailable"],
  [/^This is at odds with what is there\.$/, "conflict"],
  [/^You have no access to this organization\.$/, "orgDenied"],
  [/^This safe is locked$/, "locked"],
  [/^Vault is sealed/, "sealed"],
  [/^this share is mistyped or cut short/, "shareTypo"],
  [/^this share is of another set/, "shareOther"],
  [/^these shares do not open the vault/, "shareWrong"],
  [/^another share of this number was given before/, "shareTwice"],
  [/^this is not a share/, "shareNone"],
  [/^Too many requests\. Retry after (\d+) seconds\.$/, "tooMany", "n"],
  [/^Host unreachable$/, "unreachable"],
  [/^Host key verification failed$/, "keyMismatch"],
  [/^Authentication failed$/, "targetRefused"],
  [/^The account has no credential yet\.$/, "noCredential"],
  [/^This person is a member already\.$/, "isMember"],
  [/^This session is over\.$/, "sessionOver"],
  [/^The policy “(.+)” refuses this\.$/, "policyDenies", "n"],
  [/^No policy of this safe allows this/, "policyNone"],
  [/^The policy “(.+)” asks for the approval of .+, and you have no grant\.$/, "policyApproval", "n"],
  [/^This safe needs an approval, and you have no grant\.$/, "safeApproval"],
  [/^The policy “(.+)” asks for a second factor/, "policyFactor", "n"],
  [/^This safe cannot be used at this hour: its valid hours are (.+)\.$/, "offHours", "n"],
  [/^Credential policy expired$/, "credentialExpired"],
  [/^The safe holds no stored secret\.$/, "kitEmpty"],
  [/^This lease is revoked already\.$/, "leaseOver"],
  [/^The user is being made\. Try again in a moment\.$/, "leaseMaking"],
  [/^must be addresses or CIDR ranges/, "ranges"],
  [/^is not an address$/, "address"],
  [/^must be 1 to 7 days$/, "daysMissing"],
  [/^This sign-in is over, or was begun in another browser/, "ssoOver"],
  [/^Nobody here is linked to this account/, "ssoStranger"],
  [/^This organization wants single sign-on/, "ssoWanted"],
  [/^You have roles in safes from before this provider was believed/, "ssoUnconfirmed"],
  [/^The provider's metadata cannot be used: (it cannot be read|its address leads|it is at an address)/, "ssoMetadataAway"],
  [/^The provider's metadata cannot be used: it is too large/, "ssoMetadataLarge"],
  [/^The provider's metadata cannot be used: it is no longer valid/, "ssoMetadataOld"],
  [/^The provider's metadata cannot be used: it is that of another/, "ssoMetadataOther"],
  [/^The provider's metadata cannot be used: it (has a key|has a certificate|must have one)/, "ssoMetadataKey"],
  [/^The provider's metadata cannot be used: (it is not|its entity id)/, "ssoMetadataWrong"],
  [/^There is another provider of this issuer/, "ssoIssuerTaken"],
  [/^The provider's keys have been changed since/, "ssoKeys"],
  [/^The provider's keys have been changed, and/, "ssoKeysConfirm"],
  [/^The provider (gives you no persistent name|does not say who you are:)/, "ssoNameless"],
  [/^The provider's answer was not accepted/, "ssoNotAccepted"],
  [/^The provider did not answer as it should/, "ssoSilent"],
  [/^The provider did not let you in/, "ssoNotIn"],
  [/^This gives roles in safes/, "gives"],
  [/^Sign in with your password to do this\.$/, "byPassword"],
];

/** A sentence of the API, or what it says of a field, for people. */
export function words(t: TFunction, said: string): string {
  for (const [pattern, key, ...places] of known) {
    const m = pattern.exec(said);
    if (m) return t(`ui.words.${key}`, Object.fromEntries(places.map((p, i) => [p, m[i + 1]])));
  }
  return said;
}
