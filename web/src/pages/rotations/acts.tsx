import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useRole } from "../../api/session";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { useToast } from "../../ui/toast";
import { cancellable, retriable, type Rotation } from "./state";

/** What can be done with a rotation that is not over. */
export function RotationActs({ of: r }: { of: Rotation }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toast = useToast();
  const looksOn = useRole("auditor");
  const [asks, setAsks] = useState<"retry" | "cancel">();
  if (looksOn || (!retriable(r) && !cancellable(r) && !asks)) return null;
  const params = { path: { id: r.id } };
  const about = { name: r.account_name || r.account_id };
  return (
    <>
      <span className="flex justify-end gap-2">
        {retriable(r) && (
          <Button aria-label={t("rotations.retryOf", about)} onClick={() => setAsks("retry")}>
            {t("rotations.retry")}
          </Button>
        )}
        {cancellable(r) && (
          <Button aria-label={t("rotations.cancelOf", about)} onClick={() => setAsks("cancel")}>
            {t("rotations.cancel")}
          </Button>
        )}
      </span>
      {asks && (
        <ActDialog
          title={t(`rotations.${asks}Of`, about)}
          label={t(asks === "retry" ? "rotations.retry" : "rotations.cancel")}
          onClose={() => setAsks(undefined)}
          act={async () => {
            await ok(asks === "retry" ? api.POST("/api/v1/rotations/{id}/retry", { params }) : api.POST("/api/v1/rotations/{id}/cancel", { params }));
            await Promise.all([client.invalidateQueries({ queryKey: ["rotations"] }), client.invalidateQueries({ queryKey: ["accounts"] })]);
            toast(t(asks === "retry" ? "rotations.retried" : "rotations.cancelled"));
          }}
        >
          <p className="text-left text-sm text-muted">{t(asks === "retry" ? "rotations.retryLead" : "rotations.cancelLead")}</p>
        </ActDialog>
      )}
    </>
  );
}
