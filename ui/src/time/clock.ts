// Owns the one "now" of the screen. It moves only by tick(), so that all panels show the same instant.

let nowMs = Date.now();
const listeners = new Set<() => void>();

export function now(): number {
  return nowMs;
}

export function tick(): void {
  nowMs = Date.now();
  for (const listener of listeners) listener();
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
