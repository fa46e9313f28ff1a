import { Link } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, ReactNode } from "react";

type Props = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> & { to: string; search?: Record<string, string | undefined>; children?: ReactNode };

/** A link to a page of the console, without a reload. */
export function A({ to, search, className = "text-accent-text underline decoration-from-font underline-offset-2 hover:decoration-2", ...rest }: Props) {
  return <Link to={to as never} search={(search ?? {}) as never} className={className} {...rest} />;
}
