import type { ReactNode } from "react";
import { Download } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Button, CopyButton } from "../../ui/button";
import { Card } from "../../ui/page";
import { save } from "../../ui/save";

/** What has to be done at each target, to copy. */
export function Targets({ ca }: { ca: Schemas["SSHCA"] }) {
  const { t } = useTranslation();
  const list = `${window.location.origin}${ca.krl_path}`;
  // The file takes its place whole: sshd lets nobody in while it is missing or half there.
  const fetch = `curl -fsS '${list}' -o /etc/ssh/vaultpam.krl.new && mv /etc/ssh/vaultpam.krl.new /etc/ssh/vaultpam.krl`;
  const config = [...ca.sshd_config, "AuthorizedPrincipalsFile /etc/ssh/principals/%u"].join("\n");
  return (
    <Card title={t("sshca.targets")}>
      <ol className="space-y-6 text-sm">
        <Step n={1} title={t("sshca.trust")} lead={t("sshca.trustLead")} text={ca.trusted_user_ca_keys} label={t("sshca.keysFile")}>
          <Button onClick={() => save(new Blob([ca.trusted_user_ca_keys], { type: "text/plain" }), "vaultpam_ca.pub")}>
            <Download aria-hidden className="size-4" />
            {t("sshca.save")}
          </Button>
        </Step>
        <Step n={2} title={t("sshca.list")} lead={t("sshca.listLead")} text={fetch} label={t("sshca.command")}>
          <CopyButton text={list} label={t("sshca.copyAddress")} />
        </Step>
        <Step n={3} title={t("sshca.config")} lead={t("sshca.configLead")} text={config} label="sshd_config" />
      </ol>
    </Card>
  );
}

function Step({ n, title, lead, text, label, children }: { n: number; title: string; lead: string; text: string; label: string; children?: ReactNode }) {
  return (
    <li className="space-y-2">
      <h3 className="font-semibold">
        {n}. {title}
      </h3>
      <p className="max-w-prose text-muted">{lead}</p>
      <pre tabIndex={0} aria-label={label} className="name max-h-60 overflow-auto rounded-md bg-sunken p-3 font-mono text-xs break-all whitespace-pre-wrap">
        {text.trimEnd()}
      </pre>
      <div className="flex flex-wrap gap-2">
        <CopyButton text={text} />
        {children}
      </div>
    </li>
  );
}
