import { Plus, Upload } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { ButtonLink } from "../../ui/button";
import { Badge, Empty } from "../../ui/feedback";
import { A, RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, ListBar, type Column } from "../../ui/table";

export default function AccountList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const makes = useRole("owner", "admin");
  const query = useList("accounts", state, (query) => api.GET("/api/v1/accounts", { params: { query } }));
  const create = makes && (
    <>
      <ButtonLink to="/accounts/import">
        <Upload aria-hidden className="size-4" />
        {t("accounts.importNow")}
      </ButtonLink>
      <ButtonLink to="/accounts/new" kind="primary">
        <Plus aria-hidden className="size-4" />
        {t("accounts.create")}
      </ButtonLink>
    </>
  );
  const columns: Column<Schemas["Account"]>[] = [
    { label: t("accounts.name"), sort: "name", cell: (a) => <RowLink to={`/accounts/${a.id}`}>{a.name}</RowLink> },
    { label: t("accounts.username"), cell: (a) => <code className="text-xs">{a.username}</code> },
    { label: t("accounts.credential"), short: true, cell: (a) => <CredentialBadge account={a} /> },
    { label: t("accounts.resource"), wide: true, cell: (a) => (a.resource_id ? <A to={`/resources/${a.resource_id}`} className="underline-offset-4 hover:underline">{a.resource_name || a.resource_id}</A> : <span className="text-muted">{t("accounts.domain")}</span>) },
    { label: t("accounts.created"), sort: "created_at", wide: "most", short: true, cell: (a) => <Time at={a.created_at} /> },
  ];
  return (
    <>
      <PageHead title={t("accounts.title")} lead={t("accounts.lead")} actions={create} />
      <ListBar />
      <DataTable
        caption={t("accounts.title")}
        query={query}
        columns={columns}
        rowKey={(a) => a.id}
        empty={
          <Empty title={t("accounts.empty")} action={create}>
            {t(makes ? "accounts.emptyMaker" : "accounts.emptyMember")}
          </Empty>
        }
      />
    </>
  );
}

export function CredentialBadge({ account: a }: { account: Schemas["Account"] }) {
  const { t } = useTranslation();
  if (!a.credential || !a.credential.version) return <Badge tone="warn">{t("accounts.noCredential")}</Badge>;
  return <Badge tone="quiet">{t(`accounts.kinds.${a.credential.kind}`)}</Badge>;
}
