import { useQueryClient } from "@tanstack/react-query";
import { EllipsisVertical, UserPlus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole, useWho } from "../../api/session";
import { Button, IconButton } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { Checkbox, Field, Input, Select } from "../../ui/field";
import { Menu, MenuItem } from "../../ui/menu";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";

type Member = Schemas["Member"];
const roles = ["owner", "admin", "policy_manager", "operator", "auditor"] as const;
const tones: Record<string, Tone> = { active: "quiet", invited: "info", suspended: "warn" };

export default function MemberList() {
  const { t, i18n } = useTranslation();
  const who = useWho();
  const [state] = useListState();
  const client = useQueryClient();
  const decides = useRole("owner", "admin");
  const [open, setOpen] = useState<{ what: "add" | "role" | "suspend" | "remove" | "reset" | "factors" | "transfer"; member?: Member }>();
  const query = useList("members", state, (query) => api.GET("/api/v1/org/members", { params: { query } }));
  const changed = () => client.invalidateQueries({ queryKey: ["members"] });
  const close = () => setOpen(undefined);
  // Nobody changes a member of a higher role; the API refuses it, too.
  const may = (m: Member) => decides && m.user_id !== who.me.id && (who.role === "owner" || m.role !== "owner");

  const columns: Column<Member>[] = [
    {
      label: t("members.email"),
      sort: "email",
      cell: (m) => (
        <>
          <span className="font-medium">{m.email}</span>
          {m.status !== "active" && (
            <p className="mt-1 @xl:hidden">
              <Badge tone={tones[m.status]}>{t(`members.statuses.${m.status}`)}</Badge>
            </p>
          )}
        </>
      ),
    },
    { label: t("members.name"), wide: "most", cell: (m) => m.name },
    { label: t("members.role"), cell: (m) => t(`members.roles.${m.role}`) },
    { label: t("members.status"), wide: true, short: true, cell: (m) => <Badge tone={tones[m.status]}>{t(`members.statuses.${m.status}`)}</Badge> },
    { label: t("members.joined"), wide: "most", short: true, cell: (m) => <Time at={m.joined_at} /> },
    {
      label: t("members.actions"),
      act: true,
      cell: (m) =>
        may(m) && (
          <Menu
            trigger={
              <IconButton label={t("members.actionsFor", { name: m.email })}>
                <EllipsisVertical aria-hidden className="size-4" />
              </IconButton>
            }
          >
            <MenuItem onSelect={() => setOpen({ what: "role", member: m })}>{t("members.changeRole")}</MenuItem>
            <MenuItem onSelect={() => setOpen({ what: "suspend", member: m })}>{t(m.status === "suspended" ? "members.resume" : "members.suspend")}</MenuItem>
            {m.status === "active" && <MenuItem onSelect={() => setOpen({ what: "reset", member: m })}>{t("members.resetPassword")}</MenuItem>}
            <MenuItem onSelect={() => setOpen({ what: "factors", member: m })}>{t("members.resetFactors")}</MenuItem>
            {m.status === "active" && who.role === "owner" && m.role !== "owner" && <MenuItem onSelect={() => setOpen({ what: "transfer", member: m })}>{t("members.transfer")}</MenuItem>}
            <MenuItem danger onSelect={() => setOpen({ what: "remove", member: m })}>
              {t("members.remove")}
            </MenuItem>
          </Menu>
        ),
    },
  ];
  const params = { path: { user_id: open?.member?.user_id ?? "" } };
  return (
    <>
      <PageHead
        title={t("members.title")}
        lead={t("members.lead")}
        actions={
          decides && (
            <Button kind="primary" onClick={() => setOpen({ what: "add" })}>
              <UserPlus aria-hidden className="size-4" />
              {t("members.add")}
            </Button>
          )
        }
      />
      <ListBar>
        <Filter name="role" label={t("members.role")} options={Object.fromEntries(roles.map((r) => [r, t(`members.roles.${r}`)]))} />
        <Filter name="status" label={t("members.status")} options={Object.fromEntries(Object.keys(tones).map((s) => [s, t(`members.statuses.${s}`)]))} />
      </ListBar>
      <DataTable caption={t("members.title")} query={query} columns={columns} rowKey={(m) => m.user_id} empty={<Empty title={t("members.empty")} />} />
      {open?.what === "add" && <AddMember onClose={close} done={changed} />}
      {open?.what === "role" && <ChangeRole member={open.member!} onClose={close} done={changed} />}
      {open?.what === "suspend" && (
        <ActDialog
          title={`${t(open.member!.status === "suspended" ? "members.resume" : "members.suspend")}: ${open.member!.email}`}
          label={t(open.member!.status === "suspended" ? "members.resume" : "members.suspend")}
          kind={open.member!.status === "suspended" ? "primary" : "danger"}
          onClose={close}
          act={async () => {
            await ok(open.member!.status === "suspended" ? api.POST("/api/v1/org/members/{user_id}/resume", { params }) : api.POST("/api/v1/org/members/{user_id}/suspend", { params }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t(open.member!.status === "suspended" ? "members.resumeLead" : "members.suspendLead")}</p>
        </ActDialog>
      )}
      {open?.what === "factors" && (
        <ActDialog
          title={`${t("members.resetFactors")}: ${open.member!.email}`}
          label={t("members.resetFactors")}
          kind="danger"
          onClose={close}
          act={() => ok(api.POST("/api/v1/org/members/{user_id}/reset-mfa", { params }))}
        >
          <p className="text-sm text-muted">{t("members.resetFactorsLead")}</p>
        </ActDialog>
      )}
      {open?.what === "reset" && (
        <ActDialog
          title={`${t("members.resetPassword")}: ${open.member!.email}`}
          label={t("members.resetPassword")}
          onClose={close}
          act={() => ok(api.POST("/api/v1/org/members/{user_id}/reset-password", { params, body: { language: i18n.language as never } }))}
        >
          <p className="text-sm text-muted">{t("members.resetLead", { email: open.member!.email })}</p>
        </ActDialog>
      )}
      {open?.what === "transfer" && (
        <ConfirmByName
          title={`${t("members.transfer")}: ${open.member!.email}`}
          label={t("members.transfer")}
          name={open.member!.email}
          onClose={close}
          act={async () => {
            await ok(api.POST("/api/v1/org/transfer-ownership", { body: { user_id: open.member!.user_id } }));
            location.reload(); // one's own role is another now
          }}
        >
          {t("members.transferLead")}
        </ConfirmByName>
      )}
      {open?.what === "remove" && (
        <ConfirmByName
          title={`${t("members.remove")}: ${open.member!.email}`}
          label={t("members.remove")}
          name={open.member!.email}
          onClose={close}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/members/{user_id}", { params }));
            await changed();
          }}
        >
          {t("members.removeLead")}
        </ConfirmByName>
      )}
    </>
  );
}

function RoleField({ value, onChange, error }: { value: string; onChange: (r: string) => void; error?: string }) {
  const { t } = useTranslation();
  const owner = useRole("owner");
  return (
    <Field label={t("members.role")} hint={t(`members.roleHints.${value}`)} error={error}>
      <Select value={value} onChange={(e) => onChange(e.target.value)}>
        {roles
          .filter((r) => owner || r !== "owner")
          .map((r) => (
            <option key={r} value={r}>
              {t(`members.roles.${r}`)}
            </option>
          ))}
      </Select>
    </Field>
  );
}

function AddMember({ onClose, done }: { onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("operator");
  const [password, setPassword] = useState("");
  const [change, setChange] = useState(true);
  const [machine, setMachine] = useState(false);
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("members.add")}
      label={t("members.add")}
      disabled={!email}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.POST("/api/v1/org/members", { body: machine ? { email, role: role as never, service_user: true } : { email, role: role as never, password: password || undefined, must_change_password: change } }));
        await done();
      }}
    >
      <Field label={t("members.email")} error={problems.email}>
        <Input type="email" value={email} onChange={(e) => setEmail(e.target.value)} autoComplete="off" autoFocus />
      </Field>
      <RoleField value={role} onChange={setRole} error={problems.role} />
      {!machine && (
        <>
          <Field label={t("members.firstPassword")} hint={t("members.firstPasswordHint")} error={problems.password}>
            <Input type="password" value={password} onChange={(e) => setPassword(e.target.value)} autoComplete="new-password" />
          </Field>
          <Checkbox label={t("members.mustChange")} checked={change} onChange={(e) => setChange(e.target.checked)} />
        </>
      )}
      <Checkbox label={t("members.machine")} hint={t("members.machineHint")} checked={machine} onChange={(e) => setMachine(e.target.checked)} />
    </ActDialog>
  );
}

function ChangeRole({ member, onClose, done }: { member: Member; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [role, setRole] = useState<string>(member.role);
  return (
    <ActDialog
      title={`${t("members.changeRole")}: ${member.email}`}
      label={t("ui.save")}
      onClose={onClose}
      act={async () => {
        await ok(api.PATCH("/api/v1/org/members/{user_id}", { params: { path: { user_id: member.user_id } }, body: { role: role as never } }));
        await done();
      }}
    >
      <RoleField value={role} onChange={setRole} />
    </ActDialog>
  );
}
