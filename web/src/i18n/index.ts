// Texts. Each area keeps its own beside its code (text.en.json and so on);
// a language is one chunk, loaded when it is chosen. The first key is the
// area's folder: t("safes.title") is in pages/safes/text.en.json.
import i18next from "i18next";
import { initReactI18next } from "react-i18next";

export const languages = { en: "English", de: "Deutsch", fr: "Français", pl: "Polski" } as const;
export type Language = keyof typeof languages;

type Texts = Record<string, unknown>;
const loaders: Record<Language, () => Promise<{ default: Texts }>> = {
  en: () => import("./en"),
  de: () => import("./de"),
  fr: () => import("./fr"),
  pl: () => import("./pl"),
};

/** Names areas by their folder. */
export function collect(files: Record<string, unknown>): Texts {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [path.split("/").at(-2)!, text]));
}

function known(code: string): Language | undefined {
  const short = code.slice(0, 2).toLowerCase();
  return short in languages ? (short as Language) : undefined;
}

function preferred(): Language {
  return known(localStorage.getItem("language") ?? "") ?? navigator.languages.map(known).find(Boolean) ?? "en";
}

export async function choose(language: Language, keep = true): Promise<void> {
  if (!i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", (await loaders[language]()).default);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  if (keep) localStorage.setItem("language", language);
}

export async function start(): Promise<void> {
  const language = preferred();
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false, // a missing text is a failing test, not another language
    resources: {},
    interpolation: { escapeValue: false }, // React escapes
    returnEmptyString: false,
  });
  await choose(language, false);
  // A choice that was made in another window is a choice for this one.
  addEventListener("storage", (e) => {
    const chosen = e.key === "language" && known(e.newValue ?? "");
    if (chosen) void choose(chosen, false);
  });
}
