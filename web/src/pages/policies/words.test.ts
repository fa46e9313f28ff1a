import i18next from "i18next";
import { expect, test } from "vitest";
import { reason } from "./words";

// As pam/policy words them.
const said = [
  "Role in the safe: operator.", "No active member of the organization.", "No member of the safe, and no grant for it.", "An auditor only sees, whatever their role in the safe.",
  "The role in the safe is viewer, which is not enough.", "The grant gnt_1 holds until 2026-11-23T12:00:00Z.", "Whoever is in the organization may request this safe.",
  "Secrets of this safe are not checked out.", "The safe is locked.", "Within the valid hours of the safe: mon 08:00-18:00 (UTC).",
  "Outside of the valid hours of the safe: mon 08:00-18:00 (UTC); there it is sun 03:00.", "The time for which the safe's credentials may be used is over.",
  "Policies that allow are assigned to the safe, and none of them applies.", "It is outside of its hours: mon 08:00-18:00 (UTC).", "The client's address is in none of its ranges.",
  "It is about other types of resources.", "It is about other users, groups or roles.", "All its conditions hold.", "It has no conditions; what denies wins.",
  "All its conditions hold; it wants the approval of one person; it demands a second factor.", "It has no conditions; it wants the approval of 2 different people.",
  "The approval of one person is there: the grant gnt_1.", "The policy “x; y” wants the approval of one person, and there is no grant.", "The safe wants the approval of 2 different people, and there is no grant.",
  "The safe asks to authenticate again.", "The safe asks to authenticate again, which was done just now.", "It demands a second factor.", "It demands a second factor, which was shown.",
];

test("every reason of the API has words of ours", () => {
  const t = ((key: string) => `<${key}>`) as unknown as typeof i18next.t;
  expect(said.filter((s) => !reason(t, s).includes("<policies.why."))).toEqual([]);
  expect(reason(t, "Something new.")).toBe("Something new.");
});
