import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Badge, type Tone } from "../../ui/feedback";
import { A } from "../../ui/link";
import { Time } from "../../ui/page";
import type { Column } from "../../ui/table";

const tones: Record<string, Tone> = { allow: "good", deny: "danger", require_approval: "warn" };

/** How rows of access are shown; own leaves out who it is. */
export function useColumns(own?: boolean): Column<Schemas["Access"]>[] {
  const { t } = useTranslation();
  const all: (Column<Schemas["Access"]> | false)[] = [
    !own && { label: t("reach.who"), cell: (x) => <span className="name font-medium">{x.email}</span> },
    {
      label: t("reach.safe"),
      cell: (x) => (
        <>
          <A to={`/safes/${x.safe_id}`}>
            <span className="name">{x.safe_name}</span>
          </A>
          <p className="name line-clamp-2 text-sm text-muted">{x.targets?.map((g) => `${g.account_name} @ ${g.resource_name}`).join(", ")}</p>
        </>
      ),
    },
    {
      label: t("reach.by"),
      wide: true,
      cell: (x) => (
        <ul>
          {x.grounds?.map((g) => (
            <li key={(g.member_id ?? "") + (g.grant_id ?? "")}>
              {t(`reach.rules.${g.rule}`)}
              {g.group_name && (
                <>
                  {" "}
                  <span className="name">{g.group_name}</span>
                </>
              )}
              : {t(`safes.roles.${g.role}`)}
              {g.expires_at && (
                <span className="text-muted">
                  {" "}
                  {t("safes.until")} <Time at={g.expires_at} />
                </span>
              )}
            </li>
          ))}
        </ul>
      ),
    },
    {
      label: t("reach.now"),
      short: true,
      cell: (x) => (
        <span title={x.message || undefined}>
          <Badge tone={tones[x.decision]}>{t(`reach.decisions.${x.decision}`)}</Badge>
        </span>
      ),
    },
    { label: t("reach.used"), wide: "most", short: true, cell: (x) => (x.last_used_at ? <Time at={x.last_used_at} /> : t("reach.never")) },
  ];
  return all.filter((c) => c !== false);
}
