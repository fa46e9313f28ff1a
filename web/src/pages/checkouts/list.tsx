import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { Empty } from "../../ui/feedback";
import { A, RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, PickFilter, type Column } from "../../ui/table";
import { CheckoutActs } from "./acts";
import { EmergencyMark, isOut, StateBadge, type Checkout } from "./state";

/** Who has which secret now, and who had: one's own, those of the Safes that
 * one manages, and all for those who oversee the organization. */
export default function CheckoutList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const oversees = useRole("owner", "admin", "auditor");
  // Secrets come back by themselves; the list follows.
  const query = useList<Checkout>("checkouts", state, (query) => api.GET("/api/v1/checkouts", { params: { query } }), { every: 5000 });
  const columns: Column<Checkout>[] = [
    {
      label: t("checkouts.account"),
      cell: (c) => (
        <>
          <RowLink to={`/checkouts/${c.id}`}>{c.account_name || c.account_id}</RowLink>
          <p className="line-clamp-1 text-muted">{c.safe_name || c.safe_id}</p>
          <p className="text-muted @xl:hidden">{c.user_name || c.user_id}</p>
        </>
      ),
    },
    { label: t("checkouts.user"), wide: true, cell: (c) => c.user_name || c.user_id },
    { label: t("checkouts.reason"), wide: true, cell: (c) => c.reason || <span className="text-faint">–</span> },
    {
      label: t("checkouts.state"),
      short: true,
      cell: (c) => (
        <span className="flex flex-wrap gap-1">
          <StateBadge of={c} />
          <EmergencyMark of={c} />
        </span>
      ),
    },
    { label: t("checkouts.since"), wide: "most", short: true, cell: (c) => <Time at={c.created_at} /> },
    {
      label: t("checkouts.until"),
      wide: true,
      short: true,
      cell: (c) => (
        <>
          <Time at={isOut(c) ? c.expires_at : c.checked_in_at} />
          {c.extensions > 0 && (
            <p className="text-muted">
              {t("checkouts.extensions")}: {c.extensions}
            </p>
          )}
        </>
      ),
    },
    { label: t("checkouts.acts"), act: true, cell: (c) => <CheckoutActs of={c} /> },
  ];
  const empty = <Empty title={t(state.status ? "checkouts.noneEver" : "checkouts.noneOut")}>{t("checkouts.emptyLead")}</Empty>;
  // Which of the two lists it is does not make it a filtered one.
  const filtered = Object.keys(state).some((k) => k !== "status");
  return (
    <>
      <PageHead title={t("checkouts.title")} lead={t("checkouts.lead")} />
      <Views of={state} />
      <ListBar search={false}>
        <Filter name="user_id" label={t("checkouts.whose")} options={{ me: t("checkouts.mine") }} />
        {oversees && <PickFilter name="safe_id" label={t("checkouts.safe")} load={async () => (await ok(api.GET("/api/v1/safes", { params: { query: {} } }))).map((s) => [s.id, s.name])} />}
      </ListBar>
      <DataTable caption={t("checkouts.title")} query={query} columns={columns} rowKey={(c) => c.id} empty={empty} none={filtered ? undefined : empty} />
    </>
  );
}

/** Those that are out, and all that ever were. */
function Views({ of: state }: { of: Record<string, string> }) {
  const { t } = useTranslation();
  const { status, cursor: _, ...rest } = state;
  const views = [
    { label: t("checkouts.now"), search: rest, here: !status },
    { label: t("checkouts.history"), search: { ...rest, status: "all" }, here: status === "all" },
  ];
  return (
    <nav aria-label={t("checkouts.views")} className="mb-4 flex flex-wrap gap-x-5 border-b border-line text-sm">
      {views.map(({ label, search, here }) => (
        <A key={label} to="/checkouts" search={search} aria-current={here ? "page" : undefined} className={`-mb-px border-b-2 px-1 py-2 ${here ? "border-accent font-medium text-accent-text" : "border-transparent text-muted hover:text-text"}`}>
          {label}
        </A>
      ))}
    </nav>
  );
}
