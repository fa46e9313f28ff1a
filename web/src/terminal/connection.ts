// One session over vaultpam.v1 (docs/formats/terminal.md): what is sent, what
// is acknowledged, and what the server said. It knows nothing of the screen.

export interface Ready {
  session_id: string;
  expires_at: string;
  idle_seconds: number;
  recording_id: string;
  clipboard: "allowed" | "audited" | "blocked";
  window: number;
  input_window: number;
}

export interface End {
  /** The session's end_reason, or the code of an error. */
  reason: string;
  status?: number;
  signal?: string;
  message: string;
}

export interface Handlers {
  /** Shows bytes, and calls shown once they stand on the screen. */
  output(data: Uint8Array, shown: () => void): void;
  ready(r: Ready): void;
  warning(message: string): void;
  refused(message: string): void;
  end(e: End): void;
}

const ackEvery = 64 << 10;
const maxMessage = 32 << 10;

type Message = { type: string } & Record<string, unknown>;

export class Connection {
  private readonly ws: WebSocket;
  private isReady = false;
  private over = false;
  private window = 0;

  private shown = 0; // bytes of output on the screen
  private received = 0;
  private acked = 0;

  private sent = 0; // bytes of input
  private taken = 0; // of them, acknowledged
  private waiting: Uint8Array<ArrayBuffer>[] = [];

  constructor(url: string, ticket: string, size: { cols: number; rows: number }, private readonly on: Handlers) {
    const address = new URL(url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.ws = new WebSocket(address, "vaultpam.v1");
    this.ws.binaryType = "arraybuffer";
    this.ws.onopen = () => this.say({ type: "hello", ticket, ...size, term: "xterm-256color" });
    this.ws.onmessage = (e: MessageEvent<ArrayBuffer | string>) => (typeof e.data === "string" ? this.control(JSON.parse(e.data) as Message) : this.output(new Uint8Array(e.data)));
    this.ws.onclose = () => this.end({ reason: "connection lost", message: "" });
  }

  get open(): boolean {
    return !this.over;
  }

  /** Types. What does not fit into the window waits for it. */
  type(text: string | Uint8Array): void {
    if (!this.isReady || this.over) return;
    const bytes = (typeof text === "string" ? new TextEncoder().encode(text) : text) as Uint8Array<ArrayBuffer>;
    for (let at = 0; at < bytes.length; at += maxMessage) this.waiting.push(bytes.slice(at, at + maxMessage));
    this.flush();
  }

  resize(cols: number, rows: number): void {
    if (this.isReady) this.say({ type: "resize", cols, rows });
  }

  copied(bytes: number): void {
    if (this.isReady && bytes > 0) this.say({ type: "copied", bytes });
  }

  /** Leaves; the session ends with it. */
  close(): void {
    this.ws.close(1000);
  }

  private say(m: Message): void {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(m));
  }

  private flush(): void {
    for (let next = this.waiting[0]; next && this.sent + next.length - this.taken <= this.window; next = this.waiting[0]) {
      this.waiting.shift();
      this.sent += next.length;
      this.ws.send(next);
    }
  }

  private output(data: Uint8Array): void {
    this.received += data.length;
    this.on.output(data, () => {
      this.shown += data.length;
      if (this.shown - this.acked >= ackEvery || this.shown === this.received) {
        this.acked = this.shown;
        this.say({ type: "ack", bytes: this.shown });
      }
    });
  }

  private control(m: Message): void {
    switch (m.type) {
      case "ready": {
        const r = m as unknown as Ready;
        this.isReady = true;
        this.window = r.input_window;
        this.on.ready(r);
        return;
      }
      case "ack":
        this.taken = m.bytes as number;
        this.flush();
        return;
      case "warning":
        return this.on.warning(String(m.message));
      case "refused":
        return this.on.refused(String(m.message));
      case "exit":
        return this.end({ reason: String(m.reason), status: m.status as number | undefined, signal: m.signal as string | undefined, message: String(m.message ?? "") });
      case "error":
        return this.end({ reason: String(m.code), message: String(m.message) });
    }
  }

  private end(e: End): void {
    if (this.over) return;
    this.over = true;
    this.on.end(e);
  }
}
