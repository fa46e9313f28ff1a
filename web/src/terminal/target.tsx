import { useQuery } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../api/client";
import { useTargets } from "../pages/safes/targets";
import { Loading, Problem } from "../ui/feedback";
import { Card } from "../ui/page";
import type { Want } from "./workspace";

/** Asks where to, when the Safe leads to several targets and none was named. */
export function Target({ want, onTitle, onChoose, children }: { want: Want; onTitle: (title: string) => void; onChoose: (resource: string, account: string) => void; children: ReactNode }) {
  const named = !!want.resource;
  const { data, error } = useQuery({ queryKey: ["safes", want.safe], enabled: !named, queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id: want.safe } } })) });
  const asks = !named && data && data.bindings.length > 1 ? data.name : undefined;
  useEffect(() => {
    if (asks) onTitle(asks);
    // The callback is new in each render; a name is not.
  }, [asks]);
  if (named || (data && data.bindings.length < 2) || error) return children; // the launch itself says what is wrong
  if (!data) return <Loading />;
  return <Choice safe={data} onChoose={onChoose} />;
}

function Choice({ safe, onChoose }: { safe: Schemas["Safe"]; onChoose: (resource: string, account: string) => void }) {
  const { t } = useTranslation();
  const { data, error } = useTargets(safe);
  if (error) return <Problem error={error} />;
  if (!data) return <Loading />;
  return (
    <div className="mx-auto max-w-xl p-6">
      <Card title={t("terminal.whereTo", { name: safe.name })}>
        <ul className="divide-y divide-line">
          {data.map(({ resource, account }) => (
            <li key={resource.id + account.id}>
              <button type="button" onClick={() => onChoose(resource.id, account.id)} className="name w-full px-2 py-2.5 text-left text-sm hover:bg-sunken">
                {account.username} {t("safes.at")} {resource.name}
              </button>
            </li>
          ))}
        </ul>
      </Card>
    </div>
  );
}
