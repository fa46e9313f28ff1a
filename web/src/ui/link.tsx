import { Link } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, ReactNode } from "react";

/** A link in a text, which its colour alone would not show. */
export const textLink = "text-accent-text underline decoration-from-font underline-offset-2 hover:decoration-2";
/** A link that stands by itself: what a row is called, where a card leads. */
export const rowLink = "-my-[3px] inline-block py-[3px] font-medium text-accent-text underline-offset-4 hover:underline";

type Props = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> & { to: string; search?: Record<string, string | undefined>; children?: ReactNode };

/** A link to a page of the console, without a reload. */
export function A({ to, search, className = textLink, ...rest }: Props) {
  return <Link to={to as never} search={(search ?? {}) as never} className={className} {...rest} />;
}

export function RowLink(props: Omit<Props, "className">) {
  return <A className={rowLink} {...props} />;
}
