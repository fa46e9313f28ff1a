import { expect, test } from "vitest";
import { fingerprint } from "./hostkey";

test("a fingerprint is the one that ssh-keygen prints", async () => {
  // ssh-keygen -lf on this line.
  expect(await fingerprint("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl github")).toBe("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
  expect(await fingerprint("not a key")).toBe("");
});
