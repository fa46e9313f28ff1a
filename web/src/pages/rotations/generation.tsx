import { useTranslation } from "react-i18next";
import { Checkbox, Field, FieldSet, Input, Select } from "../../ui/field";

/** What a new secret looks like, as the API takes it; absent fields are its defaults. */
export interface Policy {
  kind?: string;
  length?: number;
  classes?: Record<string, number>;
  passphrase?: { words?: number };
  algorithm?: string;
}

export const classes = ["lower", "upper", "digit", "symbol"] as const;
const algorithms = { ed25519: "Ed25519", "ecdsa-p256": "ECDSA P-256", "ecdsa-p384": "ECDSA P-384", "ecdsa-p521": "ECDSA P-521", "rsa-3072": "RSA 3072", "rsa-4096": "RSA 4096" };

/** With or without a class. One is asked for where there is any; with all of
 * them as they are by default, nothing is said. */
export function withClass(p: Policy, name: string, on: boolean): Policy {
  const now = p.classes ?? Object.fromEntries(classes.map((c) => [c, 1]));
  const next = Object.fromEntries(classes.filter((c) => (c === name ? on : c in now)).map((c) => [c, now[c] ?? 1]));
  return { ...p, classes: classes.every((c) => next[c] === 1) ? undefined : next };
}

export function GenerationFields({ kind, value, onChange, problems }: { kind: string; value?: Record<string, unknown>; onChange: (v: Record<string, unknown> | undefined) => void; problems: Record<string, string> }) {
  const { t } = useTranslation();
  const p = (value ?? {}) as Policy;
  // What this form does not show, such as characters of one's own, stays.
  const set = (next: Policy) => onChange(next as Record<string, unknown>);
  const way = !value ? "default" : p.passphrase ? "words" : "characters";
  return (
    <FieldSet legend={t("rotations.secret")} hint={t("rotations.secretHint")}>
      {problems.generation && <p className="text-sm text-danger-text">{problems.generation}</p>}
      {kind === "ssh_key" ? (
        <Field label={t("rotations.algorithm")} error={problems.algorithm ?? problems["generation.kind"]}>
          <Select value={p.algorithm ?? "ed25519"} onChange={(e) => onChange(e.target.value === "ed25519" ? undefined : { kind, algorithm: e.target.value })}>
            {Object.entries(algorithms).map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </Select>
        </Field>
      ) : (
        <>
          <Field label={t("rotations.way")} error={problems["generation.kind"]}>
            <Select value={way} onChange={(e) => onChange(e.target.value === "default" ? undefined : e.target.value === "words" ? { kind, passphrase: { words: 6 } } : { kind, length: 32 })}>
              {(["default", "characters", "words"] as const).map((w) => (
                <option key={w} value={w}>
                  {t(`rotations.ways.${w}`)}
                </option>
              ))}
            </Select>
          </Field>
          {way === "words" && (
            <Field label={t("rotations.words")} error={problems["passphrase.words"]}>
              <Input type="number" min={4} max={32} value={p.passphrase!.words ?? 6} onChange={(e) => set({ ...p, passphrase: { ...p.passphrase, words: e.target.valueAsNumber || undefined } })} />
            </Field>
          )}
          {way === "characters" && (
            <>
              <Field label={t("rotations.length")} error={problems.length}>
                <Input type="number" min={8} max={128} value={p.length ?? 32} onChange={(e) => set({ ...p, length: e.target.valueAsNumber || undefined })} />
              </Field>
              <div role="group" aria-label={t("rotations.classes")} className="space-y-2">
                <p className="text-sm font-medium">{t("rotations.classes")}</p>
                <div className="flex flex-wrap gap-x-6 gap-y-2">
                  {classes.map((c) => (
                    <Checkbox key={c} label={t(`rotations.class.${c}`)} checked={!p.classes || c in p.classes} disabled={!!p.classes && c in p.classes && Object.keys(p.classes).length === 1} onChange={(e) => set(withClass(p, c, e.target.checked))} />
                  ))}
                </div>
                {problems.classes && <p className="text-sm text-danger-text">{problems.classes}</p>}
              </div>
            </>
          )}
        </>
      )}
    </FieldSet>
  );
}
