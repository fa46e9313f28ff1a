import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

/** A menu at a button. Not modal: the modal form needs styles that the
 * Content-Security-Policy refuses. */
export function Menu({ trigger, children, align = "end" }: { trigger: ReactNode; children: ReactNode; align?: "start" | "end" }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align={align} sideOffset={6} collisionPadding={8} className="z-30 max-h-[70dvh] max-w-[calc(100vw-1rem)] min-w-48 overflow-y-auto rounded-md border border-line-strong bg-raised p-1 text-sm shadow-lg">
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

const item = "flex cursor-pointer items-center gap-2 rounded px-3 py-1.5 outline-none data-highlighted:bg-sunken data-highlighted:underline";

export function MenuItem({ onSelect, children, danger }: { onSelect: () => void; children: ReactNode; danger?: boolean }) {
  return (
    <DropdownMenu.Item onSelect={onSelect} className={`${item} ${danger ? "text-danger-text" : ""}`}>
      {children}
    </DropdownMenu.Item>
  );
}

export function MenuChoice({ label, value, options, onChange }: { label: string; value: string; options: Record<string, string>; onChange: (value: string) => void }) {
  return (
    <>
      <DropdownMenu.Label className="px-3 pt-2 pb-1 text-xs font-medium text-muted">{label}</DropdownMenu.Label>
      <DropdownMenu.RadioGroup value={value} onValueChange={onChange}>
        {Object.entries(options).map(([v, text]) => (
          <DropdownMenu.RadioItem key={v} value={v} className={item}>
            <span aria-hidden className="w-3">
              {v === value ? "✓" : ""}
            </span>
            <span className="name">{text}</span>
          </DropdownMenu.RadioItem>
        ))}
      </DropdownMenu.RadioGroup>
    </>
  );
}

export const MenuSeparator = () => <DropdownMenu.Separator className="my-1 h-px bg-line" />;
