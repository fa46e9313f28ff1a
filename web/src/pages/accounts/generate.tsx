import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { ActDialog } from "../../ui/dialog";
import { Field, Input, Select } from "../../ui/field";
import { useToast } from "../../ui/toast";

const forms = ["characters", "words", "key"] as const;
const algorithms = ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-3072", "rsa-4096"] as const;

/** Has the server make a secret that nobody sees by this. */
export function Generate({ account, onClose, done }: { account: Schemas["Account"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const toast = useToast();
  const [form, setForm] = useState<(typeof forms)[number]>(account.credential?.kind.startsWith("ssh_") ? "key" : "characters");
  const [length, setLength] = useState("32");
  const [words, setWords] = useState("6");
  const [algorithm, setAlgorithm] = useState<(typeof algorithms)[number]>("ed25519");
  const [problems, setProblems] = useState<Record<string, string>>({});
  const kind = account.credential?.kind === "database" || account.credential?.kind === "token" ? account.credential.kind : "password";
  const body: Schemas["GenerateIn"] = form === "key" ? { kind: "ssh_key", algorithm } : form === "words" ? { kind, passphrase: { words: Number(words) } } : { kind, length: Number(length) };
  return (
    <ActDialog
      title={t("accounts.generate")}
      label={t("accounts.generateNow")}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.POST("/api/v1/accounts/{id}/credential/generate", { params: { path: { id: account.id } }, body }));
        await done();
        toast(t("accounts.stored"));
      }}
    >
      <p className="text-sm text-muted">{t("accounts.generateLead")}</p>
      <Field label={t("accounts.kind")} error={problems.kind ?? problems["credential.kind"]}>
        <Select value={form} onChange={(e) => setForm(e.target.value as typeof form)}>
          {forms.map((f) => (
            <option key={f} value={f}>
              {t(`accounts.forms.${f}`)}
            </option>
          ))}
        </Select>
      </Field>
      {form === "characters" && (
        <Field label={t("accounts.length")} error={problems.length ?? problems["body.length"]}>
          <Input type="number" min={8} max={128} value={length} onChange={(e) => setLength(e.target.value)} required />
        </Field>
      )}
      {form === "words" && (
        <Field label={t("accounts.words")} hint={t("accounts.wordsHint")} error={problems["passphrase.words"]}>
          <Input type="number" min={4} max={32} value={words} onChange={(e) => setWords(e.target.value)} required />
        </Field>
      )}
      {form === "key" && (
        <Field label={t("accounts.algorithm")} error={problems.algorithm}>
          <Select value={algorithm} onChange={(e) => setAlgorithm(e.target.value as typeof algorithm)}>
            {algorithms.map((a) => (
              <option key={a} value={a}>
                {a}
              </option>
            ))}
          </Select>
        </Field>
      )}
    </ActDialog>
  );
}
