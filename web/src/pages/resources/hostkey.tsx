import { useEffect, useState } from "react";
import { fromBase64, sha256, toBase64 } from "../../evidence/bytes";

/** The fingerprint of an OpenSSH public key line, as ssh prints it; "" for what is none. */
export async function fingerprint(line: string): Promise<string> {
  try {
    return `SHA256:${toBase64(await sha256(fromBase64(line.trim().split(/\s+/)[1] ?? ""))).replace(/=+$/, "")}`;
  } catch {
    return "";
  }
}

/** A host key as people compare it, and as it is pinned. */
export function HostKey({ line }: { line: string }) {
  const [print, setPrint] = useState("");
  useEffect(() => {
    let gone = false;
    void fingerprint(line).then((f) => !gone && setPrint(f));
    return () => {
      gone = true;
    };
  }, [line]);
  return (
    <div className="space-y-0.5 font-mono">
      {print && <p className="text-sm break-all">{print}</p>}
      <code className="name block text-xs break-all text-muted">{line}</code>
    </div>
  );
}
