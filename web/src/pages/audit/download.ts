// The export as a file. It never lies in the page's memory as a whole: what
// has arrived is handed to the browser in blobs, which it keeps on disk.
import { answer, api } from "../../api/client";

export type Format = "ndjson" | "csv";

export interface Choice {
  format: Format;
  from?: string;
  to?: string;
  instance?: boolean;
}

export interface Progress {
  bytes: number;
  lines: number;
}

/** The export broke off before its last line. */
export class Broken extends Error {}

/** Opens the export as a stream of bytes. */
export async function openExport(query: Choice, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const { data } = await answer(api.GET("/api/v1/audit-events/export", { params: { query }, parseAs: "stream", signal }));
  return data as unknown as ReadableStream<Uint8Array>;
}

const portion = 4 << 20;
const mark: Record<Format, string> = { ndjson: '\n{"checkpoint":', csv: "#checkpoint " };

/** Collects a stream, and refuses one that ends without its checkpoint. */
export async function collect(stream: ReadableStream<Uint8Array>, format: Format, progress: (p: Progress) => void): Promise<Blob> {
  const type = format === "csv" ? "text/csv" : "application/x-ndjson";
  let whole = new Blob([], { type });
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let waiting = 0;
  let bytes = 0;
  let lines = 0;
  const reader = stream.getReader();
  for (;;) {
    let step: ReadableStreamReadResult<Uint8Array>;
    try {
      step = await reader.read();
    } catch (e) {
      throw e instanceof DOMException && e.name === "AbortError" ? e : new Broken();
    }
    if (step.done) break;
    const b = step.value as Uint8Array<ArrayBuffer>;
    parts.push(b);
    waiting += b.length;
    bytes += b.length;
    for (let nl = b.indexOf(10); nl >= 0; nl = b.indexOf(10, nl + 1)) lines++;
    if (waiting >= portion) {
      whole = new Blob([whole, ...parts], { type });
      parts = [];
      waiting = 0;
    }
    progress({ bytes, lines });
  }
  whole = new Blob([whole, ...parts], { type });
  // The last line may be long: it holds up to 256 earlier checkpoints.
  const end = `\n${await whole.slice(Math.max(0, whole.size - (1 << 20))).text()}`;
  if (!end.endsWith("\n") || !end.slice(end.lastIndexOf("\n", end.length - 2)).includes(mark[format])) throw new Broken();
  return whole;
}
