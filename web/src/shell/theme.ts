// public/theme.js applies the same before the first paint.
export const themes = ["light", "dark", "contrast"] as const;

export function theme(): string {
  return document.documentElement.dataset.theme ?? "light";
}

export function setTheme(name: string): void {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
}

/** Goes with a choice that was made in another window. */
export function followTheme(): void {
  addEventListener("storage", (e) => {
    const name = themes.find((x) => x === e.newValue);
    if (e.key === "theme" && name) document.documentElement.dataset.theme = name;
  });
}
