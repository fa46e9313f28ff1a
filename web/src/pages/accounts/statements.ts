// Statements that make and drop users at databases, as docs/ephemeral.md has
// them: to begin with, and to change.
export const lists = ["principals", "create_statements", "revoke_statements", "rules"] as const;
export type List = (typeof lists)[number];

interface Template {
  name: string; // of the product, in every language
  type: string; // of the resource
  create: string[];
  revoke: string[];
}

export const templates: Template[] = [
  {
    name: "PostgreSQL",
    type: "postgresql",
    create: ["CREATE ROLE {{name}} LOGIN CONNECTION LIMIT 10 PASSWORD {{password}} VALID UNTIL {{expires_at}}", "GRANT readers TO {{name}}"],
    revoke: ["DROP OWNED BY {{name}}", "DROP ROLE {{name}}"],
  },
  {
    name: "MariaDB",
    type: "mysql",
    create: ["CREATE USER {{name}}@'%' IDENTIFIED VIA mysql_native_password USING {{password}} WITH MAX_USER_CONNECTIONS 10", "GRANT SELECT ON app.* TO {{name}}@'%'"],
    revoke: ["DROP USER {{name}}@'%'"],
  },
  {
    name: "MySQL 8",
    type: "mysql",
    create: ["CREATE USER {{name}}@'%' IDENTIFIED BY {{password}} WITH MAX_USER_CONNECTIONS 10 PASSWORD EXPIRE INTERVAL 1 DAY", "GRANT SELECT ON app.* TO {{name}}@'%'"],
    revoke: ["DROP USER {{name}}@'%'"],
  },
];

/** Whether a setting means something at a resource of the type; undefined: at
 * any, since an account of a domain may be used at several. */
export function fits(field: List | "admin_account_id", type: string | undefined): boolean {
  if (type === undefined) return true;
  if (field === "principals") return type === "ssh";
  if (field === "rules") return type === "redis";
  return field === "admin_account_id" ? type !== "ssh" : type !== "ssh" && type !== "redis";
}
