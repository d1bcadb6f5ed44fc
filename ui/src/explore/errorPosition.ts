// Owns finding the place a server's message points at: "1:10: parse error: unclosed left parenthesis".

export interface Place {
  from: number;
  to: number;
  message: string;
}

/**
 * The span to underline in `expr`, or undefined when the message names no place. Lines and columns count from one, columns
 * in bytes, as Prometheus counts them. A place at the very end marks the last character, since there is nothing after it.
 */
export function errorPlace(expr: string, message: string): Place | undefined {
  const match = /(?:^|[\s"])(\d+):(\d+): (?:parse error: )?([\s\S]+)$/.exec(message);
  if (!match) return undefined;
  const [, line, column, text] = match;
  const lines = expr.split('\n');
  const row = Number(line) - 1;
  const content = lines[row];
  if (content === undefined) return undefined;
  const start = lines.slice(0, row).reduce((sum, l) => sum + l.length + 1, 0) + charOfByte(content, Number(column) - 1);
  if (expr.length === 0) return undefined;
  const from = Math.min(start, expr.length - 1);
  const word = /^[\w:.]+/.exec(expr.slice(from))?.[0].length ?? 1;
  return { from, to: Math.min(expr.length, from + word), message: text! };
}

/** UTF-16 index of a byte offset in a line: labels and comments may hold any script. */
function charOfByte(line: string, bytes: number): number {
  const encoder = new TextEncoder();
  let seen = 0;
  let index = 0;
  for (const char of line) {
    if (seen >= bytes) break;
    seen += encoder.encode(char).length;
    index += char.length;
  }
  return index;
}
