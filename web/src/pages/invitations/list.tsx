import { useQuery, useQueryClient } from "@tanstack/react-query";
import { EllipsisVertical, MailPlus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { languages } from "../../i18n";
import { Button, IconButton } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { Checkbox, Field, FieldSet, Select, TextArea } from "../../ui/field";
import { Menu, MenuItem } from "../../ui/menu";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";

type Invitation = Schemas["Invitation"];
const roles = ["owner", "admin", "policy_manager", "operator", "auditor"] as const;
const safeRoles = ["viewer", "operator", "manager", "approver"] as const;
const tones: Record<string, Tone> = { pending: "info", accepted: "quiet", revoked: "quiet", expired: "warn" };
const letters: Record<string, Tone> = { pending: "info", sent: "quiet", failed: "danger" };

export default function InvitationList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const client = useQueryClient();
  const [open, setOpen] = useState<{ what: "send" | "resend" | "revoke"; of?: Invitation }>();
  const query = useList("invitations", state, (query) => api.GET("/api/v1/org/invitations", { params: { query } }), { every: 5000 });
  const changed = () => client.invalidateQueries({ queryKey: ["invitations"] });
  const close = () => setOpen(undefined);
  const columns: Column<Invitation>[] = [
    { label: t("members.email"), cell: (i) => <span className="name font-medium">{i.email}</span> },
    { label: t("members.role"), wide: true, cell: (i) => t(`members.roles.${i.role}`) },
    { label: t("members.status"), short: true, cell: (i) => <Badge tone={tones[i.status]}>{t(`invitations.statuses.${i.status}`)}</Badge> },
    {
      label: t("invitations.letter"),
      wide: true,
      cell: (i) =>
        i.delivery && (
          <>
            <Badge tone={letters[i.delivery.status]}>{t(`invitations.letters.${i.delivery.status}`)}</Badge>
            {i.delivery.problem && <p className="name mt-1 text-sm text-muted">{i.delivery.problem}</p>}
          </>
        ),
    },
    { label: t("invitations.expires"), wide: "most", short: true, cell: (i) => <Time at={i.expires_at} /> },
    {
      label: t("members.actions"),
      act: true,
      cell: (i) =>
        (i.status === "pending" || i.status === "expired") && (
          <Menu
            trigger={
              <IconButton label={t("members.actionsFor", { name: i.email })}>
                <EllipsisVertical aria-hidden className="size-4" />
              </IconButton>
            }
          >
            <MenuItem onSelect={() => setOpen({ what: "resend", of: i })}>{t("invitations.resend")}</MenuItem>
            <MenuItem danger onSelect={() => setOpen({ what: "revoke", of: i })}>
              {t("invitations.revoke")}
            </MenuItem>
          </Menu>
        ),
    },
  ];
  const send = (
    <Button kind="primary" onClick={() => setOpen({ what: "send" })}>
      <MailPlus aria-hidden className="size-4" />
      {t("invitations.send")}
    </Button>
  );
  const params = { path: { id: open?.of?.id ?? "" } };
  return (
    <>
      <PageHead title={t("invitations.title")} lead={t("invitations.lead")} actions={send} />
      <ListBar>
        <Filter name="status" label={t("members.status")} options={Object.fromEntries(Object.keys(tones).map((s) => [s, t(`invitations.statuses.${s}`)]))} />
      </ListBar>
      <DataTable caption={t("invitations.title")} query={query} columns={columns} rowKey={(i) => i.id} empty={<Empty title={t("invitations.empty")} action={send} />} />
      {open?.what === "send" && <Send onClose={close} done={changed} />}
      {open?.what === "resend" && (
        <ActDialog
          title={`${t("invitations.resend")}: ${open.of!.email}`}
          label={t("invitations.resend")}
          onClose={close}
          act={async () => {
            await ok(api.POST("/api/v1/org/invitations/{id}/resend", { params }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("invitations.resendLead")}</p>
        </ActDialog>
      )}
      {open?.what === "revoke" && (
        <ActDialog
          title={`${t("invitations.revoke")}: ${open.of!.email}`}
          label={t("invitations.revoke")}
          kind="danger"
          onClose={close}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/invitations/{id}", { params }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("invitations.revokeLead")}</p>
        </ActDialog>
      )}
    </>
  );
}

function Send({ onClose, done }: { onClose: () => void; done: () => Promise<unknown> }) {
  const { t, i18n } = useTranslation();
  const owner = useRole("owner");
  const [text, setText] = useState("");
  const [role, setRole] = useState<string>("operator");
  const [language, setLanguage] = useState(i18n.language);
  const [picked, setPicked] = useState<string[]>([]);
  const [safeRole, setSafeRole] = useState<string>("operator");
  const [factor, setFactor] = useState(false);
  const [problems, setProblems] = useState<Record<string, string>>({});
  // Roles in a Safe are given by who manages it.
  const { data: safes } = useQuery({ queryKey: ["safes", "list", "managed"], queryFn: () => ok(api.GET("/api/v1/safes")) });
  const managed = safes?.filter((s) => s.role === "manager") ?? [];
  const emails = text.split(/[\s,;]+/).filter(Boolean);
  const wrong = Object.entries(problems)
    .filter(([field]) => field.startsWith("emails"))
    .map(([field, problem]) => {
      const n = /\[(\d+)\]/.exec(field)?.[1];
      return n ? `${emails[Number(n)] ?? ""}: ${problem}` : problem;
    })
    .join("; ");
  return (
    <ActDialog
      title={t("invitations.send")}
      label={t("invitations.send")}
      wide
      disabled={emails.length === 0}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        const body = { emails, role: role as never, language: language as never, require_mfa: factor, ...(picked.length ? { safe_ids: picked, safe_role: (role === "auditor" ? "viewer" : safeRole) as never } : {}) };
        await ok(api.POST("/api/v1/org/invitations", { body }));
        await done();
      }}
    >
      <Field label={t("invitations.emails")} hint={t("invitations.emailsHint")} error={wrong}>
        <TextArea value={text} onChange={(e) => setText(e.target.value)} rows={3} autoFocus />
      </Field>
      <Field label={t("members.role")} hint={t(`members.roleHints.${role}`)} error={problems.role}>
        <Select value={role} onChange={(e) => setRole(e.target.value)}>
          {roles
            .filter((r) => owner || r !== "owner")
            .map((r) => (
              <option key={r} value={r}>
                {t(`members.roles.${r}`)}
              </option>
            ))}
        </Select>
      </Field>
      <Field label={t("invitations.language")}>
        <Select value={language} onChange={(e) => setLanguage(e.target.value)}>
          {Object.entries(languages).map(([code, name]) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </Select>
      </Field>
      <Checkbox label={t("invitations.factor")} checked={factor} onChange={(e) => setFactor(e.target.checked)} />
      {managed.length > 0 && (
        <FieldSet legend={t("invitations.safes")}>
          <div className="max-h-48 space-y-2 overflow-y-auto">
            {managed.map((s) => (
              <Checkbox
                key={s.id}
                label={<span className="name">{s.name}</span>}
                checked={picked.includes(s.id)}
                onChange={(e) => setPicked(e.target.checked ? [...picked, s.id] : picked.filter((x) => x !== s.id))}
              />
            ))}
          </div>
          {picked.length > 0 && role !== "auditor" && (
            <Field label={t("safes.role")} hint={t(`safes.roleHints.${safeRole}`)} error={problems.safe_role}>
              <Select value={safeRole} onChange={(e) => setSafeRole(e.target.value)}>
                {safeRoles.map((r) => (
                  <option key={r} value={r}>
                    {t(`safes.roles.${r}`)}
                  </option>
                ))}
              </Select>
            </Field>
          )}
        </FieldSet>
      )}
    </ActDialog>
  );
}
