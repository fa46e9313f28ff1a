import type { Schemas } from "../../api/client";

/** The conditions of a rule in one line. */
export const ruleWords = (r: Schemas["WorkloadRule"]) => r.conditions.map((c) => `${c.claim} = ${c.value}`).join(", ");

/** One entry a line. */
export const linesOf = (text: string) => text.split("\n").map((l) => l.trim()).filter((l) => l !== "");
