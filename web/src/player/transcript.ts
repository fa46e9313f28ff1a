// What was shown, as lines of plain text. It is for reading and searching; the
// player shows the screen as it was.

export interface Line {
  at: number; // microseconds from the start, of its first character
  text: string;
}

const maxLine = 4096;
// Characters that would reorder or hide what stands around them.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

/** Collects lines from a terminal's output. Escape sequences leave no trace,
 * a carriage return begins the line anew, a backspace goes one back. */
export class Transcript {
  readonly lines: Line[] = [];
  private decoder = new TextDecoder();
  private line: string[] = [];
  private column = 0;
  private at = 0;
  private state: "text" | "escape" | "control" | "string" | "string-escape" | "skip" = "text";

  /** Takes the next output; a character may be split between two. */
  output(at: number, data: Uint8Array): void {
    for (const c of this.decoder.decode(data, { stream: true })) this.take(at, c);
  }

  /** Ends the last line. */
  end(): Line[] {
    if (this.line.length > 0) this.newline();
    return this.lines;
  }

  private take(at: number, c: string): void {
    switch (this.state) {
      case "escape": // ECMA-48 section 5.3
        this.state = c === "[" ? "control" : "]PX^_".includes(c) ? "string" : "()*+-./#% ".includes(c) ? "skip" : "text";
        return;
      case "skip":
        this.state = "text";
        return;
      case "control":
        if (c >= "@" && c <= "~") this.state = "text";
        return;
      case "string":
        if (c === "\u0007") this.state = "text";
        else if (c === "\u001b") this.state = "string-escape";
        return;
      case "string-escape":
        this.state = c === "\\" ? "text" : "string";
        return;
    }
    switch (c) {
      case "\u001b":
        this.state = "escape";
        return;
      case "\n":
        this.newline();
        return;
      case "\r":
        this.column = 0;
        return;
      case "\b":
        this.column = Math.max(0, this.column - 1);
        return;
    }
    if (unseen.test(c)) return;
    if (this.line.length === 0) this.at = at;
    if (this.column < maxLine) this.line[this.column++] = c;
  }

  private newline(): void {
    this.lines.push({ at: this.at, text: this.line.join("").trimEnd() });
    this.line = [];
    this.column = 0;
  }
}
