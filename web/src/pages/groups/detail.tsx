import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Pencil, Trash2, UserPlus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, ApiError, nextCursor, ok, type Schemas } from "../../api/client";
import { Button, IconButton } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Alert, Loading, Problem } from "../../ui/feedback";
import { Field, Input, Select } from "../../ui/field";
import { Card, PageHead } from "../../ui/page";

/** One group. Who may change it depends on the Safes in which it has a role:
 * the API says so, and its refusal is shown. */
export default function GroupDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState<"add" | "rename" | "delete">();
  const [removing, setRemoving] = useState<Schemas["GroupMember"]>();
  const path = { id };
  const { data: group, error } = useQuery({ queryKey: ["groups", id], queryFn: () => ok(api.GET("/api/v1/org/groups/{id}", { params: { path } })) });
  const members = useQuery({
    queryKey: ["groups", id, "members"],
    queryFn: async () => {
      const all: Schemas["GroupMember"][] = [];
      for (let cursor: string | undefined; ; ) {
        const { data, response } = await answer(api.GET("/api/v1/org/groups/{id}/members", { params: { path, query: { cursor } } }));
        all.push(...data);
        if (!(cursor = nextCursor(response))) return all.sort((a, b) => (a.email < b.email ? -1 : 1));
      }
    },
  });
  const changed = () => client.invalidateQueries({ queryKey: ["groups"] });
  if (error) return <Problem error={error} />;
  if (!group) return <Loading />;
  const manual = group.source === "manual";
  return (
    <>
      <PageHead
        title={group.name}
        parent={{ to: "/groups", label: t("groups.title") }}
        lead={t("groups.detailLead")}
        actions={
          <>
            {group.source !== "scim" && (
              <Button onClick={() => setOpen("rename")}>
                <Pencil aria-hidden className="size-4" />
                {t("groups.rename")}
              </Button>
            )}
            <Button onClick={() => setOpen("delete")}>
              <Trash2 aria-hidden className="size-4" />
              {t("groups.delete")}
            </Button>
          </>
        }
      />
      {!manual && (
        <div className="mb-4">
          <Alert tone="info">{t("groups.filledElsewhere", { source: t(`groups.sources.${group.source}`) })}</Alert>
        </div>
      )}
      <Card
        title={t("groups.members")}
        actions={
          manual && (
            <Button onClick={() => setOpen("add")}>
              <UserPlus aria-hidden className="size-4" />
              {t("groups.add")}
            </Button>
          )
        }
      >
        {members.error ? (
          <Problem error={members.error} />
        ) : !members.data ? (
          <Loading />
        ) : members.data.length === 0 ? (
          <p className="text-sm text-muted">{t("groups.nobody")}</p>
        ) : (
          <ul className="divide-y divide-line">
            {members.data.map((m) => (
              <li key={m.user_id} className="flex flex-wrap items-center justify-between gap-3 py-2.5 text-sm first:pt-0 last:pb-0">
                <span className="name min-w-0 flex-1">{m.email}</span>
                <span className="text-muted">{t(`members.roles.${m.role}`)}</span>
                {manual && (
                  <IconButton label={t("groups.remove", { name: m.email })} onClick={() => setRemoving(m)}>
                    <Trash2 aria-hidden className="size-4" />
                  </IconButton>
                )}
              </li>
            ))}
          </ul>
        )}
      </Card>
      {open === "add" && <Add id={id} has={group.member_ids} onClose={() => setOpen(undefined)} done={changed} />}
      {open === "rename" && <Rename group={group} onClose={() => setOpen(undefined)} done={changed} />}
      {open === "delete" && (
        <ConfirmByName
          title={`${t("groups.delete")}: ${group.name}`}
          label={t("groups.delete")}
          name={group.name}
          onClose={() => setOpen(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/groups/{id}", { params: { path } }));
            client.removeQueries({ queryKey: ["groups", id] });
            await navigate({ to: "/groups" as never });
            await changed();
          }}
        >
          {t("groups.deleteLead")}
        </ConfirmByName>
      )}
      {removing && (
        <ActDialog
          title={t("groups.remove", { name: removing.email })}
          label={t("groups.takeOut")}
          kind="danger"
          onClose={() => setRemoving(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/groups/{id}/members/{user_id}", { params: { path: { id, user_id: removing.user_id } } }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("groups.removeLead")}</p>
        </ActDialog>
      )}
    </>
  );
}

function Rename({ group, onClose, done }: { group: Schemas["Group"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [name, setName] = useState(group.name);
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={`${t("groups.rename")}: ${group.name}`}
      label={t("ui.save")}
      disabled={!name.trim()}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.PATCH("/api/v1/org/groups/{id}", { params: { path: { id: group.id } }, body: { name: name.trim() } }));
        await done();
      }}
    >
      <Field label={t("groups.name")} error={problems.name}>
        <Input value={name} onChange={(e) => setName(e.target.value)} maxLength={64} autoFocus />
      </Field>
    </ActDialog>
  );
}

function Add({ id, has, onClose, done }: { id: string; has: string[]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [picked, setPicked] = useState("");
  const [q, setQ] = useState("");
  const { data } = useQuery({ queryKey: ["members", "list", "pick", q], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: { q, limit: 50, status: "active" } } })) });
  const others = data?.filter((m) => !has.includes(m.user_id));
  // Who is the only one of that name is meant.
  const user = others?.some((m) => m.user_id === picked) ? picked : q && others?.length === 1 ? others[0]!.user_id : "";
  return (
    <ActDialog
      title={t("groups.add")}
      label={t("groups.add")}
      disabled={!user}
      onClose={onClose}
      act={async () => {
        await ok(api.PUT("/api/v1/org/groups/{id}/members/{user_id}", { params: { path: { id, user_id: user } } }));
        await done();
      }}
    >
      <Field label={t("safes.findPerson")}>
        <Input type="search" value={q} onChange={(e) => setQ(e.target.value)} autoFocus />
      </Field>
      <Field label={t("safes.person")} hint={t("groups.addHint")}>
        <Select value={user} onChange={(e) => setPicked(e.target.value)}>
          <option value="">{t("safes.choose")}</option>
          {others?.map((m) => (
            <option key={m.user_id} value={m.user_id}>
              {m.email}
            </option>
          ))}
        </Select>
      </Field>
    </ActDialog>
  );
}
