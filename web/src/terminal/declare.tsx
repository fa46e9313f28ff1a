import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../api/client";
import { Warning, Why } from "../pages/safes/emergency";
import { Button } from "../ui/button";
import { Card } from "../ui/page";
import type { Want } from "./workspace";

/** Says what an emergency brings with it, and asks for its reason, before
 * anything is launched. */
export function Declare({ want, onTitle, onDeclare }: { want: Want; onTitle: (title: string) => void; onDeclare: (reason: string) => void }) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const { data } = useQuery({ queryKey: ["safes", want.safe], queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id: want.safe } } })) });
  const name = data?.name ?? want.safe;
  useEffect(() => {
    onTitle(name);
    // The callback is new in each render; a name is not.
  }, [name]);
  return (
    <div className="mx-auto max-w-xl p-6">
      <Card title={t("safes.emergency.launchOf", { name })}>
        <form
          className="space-y-4"
          onSubmit={(e) => {
            e.preventDefault();
            if (reason.trim()) onDeclare(reason.trim());
          }}
        >
          <Warning />
          <Why value={reason} onChange={setReason} />
          <div className="flex justify-end">
            <Button type="submit" kind="danger" disabled={!reason.trim()}>
              {t("safes.emergency.launch")}
            </Button>
          </div>
        </form>
      </Card>
    </div>
  );
}
