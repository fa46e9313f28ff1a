import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2, UserPlus, UsersRound } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button, IconButton } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { control, Field, Input, Select } from "../../ui/field";
import { Card, Time } from "../../ui/page";

const safeRoles = ["viewer", "operator", "manager", "approver"] as const;

export function Members({ safe, manages }: { safe: Schemas["Safe"]; manages: boolean }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Schemas["SafeMember"]>();
  const key = ["safes", safe.id, "members"];
  const path = { id: safe.id };
  const { data, error } = useQuery({ queryKey: key, queryFn: () => ok(api.GET("/api/v1/safes/{id}/members", { params: { path } })) });
  const changed = () => client.invalidateQueries({ queryKey: key });
  const [refused, setRefused] = useState<unknown>();

  async function change(member_id: string, role: string): Promise<void> {
    setRefused(undefined);
    try {
      await ok(api.PATCH("/api/v1/safes/{id}/members/{member_id}", { params: { path: { ...path, member_id } }, body: { role: role as never } }));
    } catch (e) {
      setRefused(e);
    }
    await changed();
  }
  return (
    <Card
      title={t("safes.members")}
      actions={
        manages && (
          <Button onClick={() => setAdding(true)}>
            <UserPlus aria-hidden className="size-4" />
            {t("safes.addMember")}
          </Button>
        )
      }
    >
      {refused !== undefined && (
        <div className="mb-4">
          <Problem error={refused} />
        </div>
      )}
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : (
        <ul className="divide-y divide-line">
          {data.map((m) => (
            <li key={m.id} className="flex flex-wrap items-center justify-between gap-3 py-2.5 text-sm first:pt-0 last:pb-0">
              <span className="flex min-w-0 flex-1 items-center gap-2">
                {m.group_id && <UsersRound aria-label={t("safes.group")} className="size-4 shrink-0 text-muted" />}
                <span className="name min-w-0">{m.group_name ?? m.email ?? m.user_id}</span>
              </span>
              {m.awaits_approval && (
                <span className="flex flex-wrap items-center gap-2">
                  <Badge tone="warn">{t("safes.feedNew")}</Badge>
                  {manages && <Button onClick={() => void change(m.id, m.role)}>{t("safes.feedConfirm")}</Button>}
                </span>
              )}
              {m.expires_at && (
                <span className="text-muted">
                  {t("safes.until")} <Time at={m.expires_at} />
                </span>
              )}
              {manages ? (
                <select
                  aria-label={t("safes.roleOf", { name: m.group_name ?? m.email })}
                  value={m.role}
                  onChange={(e) => void change(m.id, e.target.value)}
                  className={`min-h-8 px-2 ${control}`}
                >
                  {safeRoles.map((r) => (
                    <option key={r} value={r}>
                      {t(`safes.roles.${r}`)}
                    </option>
                  ))}
                </select>
              ) : (
                <span>{t(`safes.roles.${m.role}`)}</span>
              )}
              {manages && (
                <IconButton label={t("safes.removeMember", { name: m.group_name ?? m.email })} onClick={() => setRemoving(m)}>
                  <Trash2 aria-hidden className="size-4" />
                </IconButton>
              )}
            </li>
          ))}
        </ul>
      )}
      {adding && <AddMember safe={safe} onClose={() => setAdding(false)} done={changed} />}
      {removing && (
        <ActDialog
          title={t("safes.removeMember", { name: removing.group_name ?? removing.email })}
          label={t("safes.remove")}
          kind="danger"
          onClose={() => setRemoving(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/safes/{id}/members/{member_id}", { params: { path: { ...path, member_id: removing.id } } }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("safes.removeLead")}</p>
        </ActDialog>
      )}
    </Card>
  );
}

function AddMember({ safe, onClose, done }: { safe: Schemas["Safe"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [picked, setPicked] = useState("");
  const [role, setRole] = useState<string>("operator");
  const [q, setQ] = useState("");
  const { data } = useQuery({ queryKey: ["members", "list", "pick", q], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: { q, limit: 50, status: "active" } } })) });
  const { data: groups } = useQuery({ queryKey: ["groups", "pick"], queryFn: () => ok(api.GET("/api/v1/org/groups", { params: { query: {} } })) });
  const [group, setGroup] = useState<string>(); // undefined: a person
  // Who is the only one of that name is meant.
  const user = data?.some((m) => m.user_id === picked) ? picked : q && data?.length === 1 ? data[0]!.user_id : "";
  return (
    <ActDialog
      title={t("safes.addMember")}
      label={t("safes.add")}
      disabled={group === undefined ? !user : !group}
      onClose={onClose}
      act={async () => {
        await ok(api.POST("/api/v1/safes/{id}/members", { params: { path: { id: safe.id } }, body: { ...(group === undefined ? { user_id: user } : { group_id: group }), role: role as never } }));
        await done();
      }}
    >
      {groups && groups.length > 0 && (
        <Field label={t("safes.holder")}>
          <Select value={group === undefined ? "person" : "group"} onChange={(e) => setGroup(e.target.value === "group" ? "" : undefined)}>
            <option value="person">{t("safes.holders.person")}</option>
            <option value="group">{t("safes.holders.group")}</option>
          </Select>
        </Field>
      )}
      {group === undefined ? (
        <>
          <Field label={t("safes.findPerson")}>
            <Input type="search" value={q} onChange={(e) => setQ(e.target.value)} autoFocus />
          </Field>
          <Field label={t("safes.person")}>
            <Select value={user} onChange={(e) => setPicked(e.target.value)}>
              <option value="">{t("safes.choose")}</option>
              {data?.map((m) => (
                <option key={m.user_id} value={m.user_id}>
                  {m.email}
                </option>
              ))}
            </Select>
          </Field>
        </>
      ) : (
        <Field label={t("safes.group")}>
          <Select value={group} onChange={(e) => setGroup(e.target.value)}>
            <option value="">{t("safes.choose")}</option>
            {groups?.map((g) => (
              <option key={g.id} value={g.id}>
                {g.name}
              </option>
            ))}
          </Select>
        </Field>
      )}
      <Field label={t("safes.role")} hint={t(`safes.roleHints.${role}`)}>
        <Select value={role} onChange={(e) => setRole(e.target.value)}>
          {safeRoles.map((r) => (
            <option key={r} value={r}>
              {t(`safes.roles.${r}`)}
            </option>
          ))}
        </Select>
      </Field>
    </ActDialog>
  );
}
