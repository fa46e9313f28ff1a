import { X } from "lucide-react";
import { createContext, useCallback, useContext, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "./button";

const ToastContext = createContext<(text: string) => void>(() => {});

/** Says in passing that something was done. Problems stay where they are. */
export const useToast = () => useContext(ToastContext);

export function ToastProvider({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const [shown, setShown] = useState<{ id: number; text: string }[]>([]);
  const drop = (id: number) => setShown((s) => s.filter((x) => x.id !== id));
  const add = useCallback((text: string) => {
    const id = Date.now() + Math.random();
    setShown((s) => [...s.slice(-2), { id, text }]);
    setTimeout(() => setShown((s) => s.filter((x) => x.id !== id)), 6000);
  }, []);
  return (
    <ToastContext value={add}>
      {children}
      <div role="status" aria-live="polite" className="fixed right-4 bottom-4 z-40 flex max-w-[calc(100vw-2rem)] flex-col gap-2">
        {shown.map((x) => (
          <div key={x.id} className="flex items-center gap-2 rounded-md border border-line-strong bg-raised py-1.5 pr-1.5 pl-4 text-sm shadow-lg">
            <span className="name">{x.text}</span>
            <IconButton label={t("ui.close")} onClick={() => drop(x.id)}>
              <X aria-hidden className="size-4" />
            </IconButton>
          </div>
        ))}
      </div>
    </ToastContext>
  );
}
