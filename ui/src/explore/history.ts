// Owns the queries run before, kept in this browser only, newest first.

const KEY = 'bellwether.history';
/** More are not found again by looking; the store of a browser is small and shared. */
export const MAX_ENTRIES = 60;
export const MAX_ENTRY_CHARS = 2_000;

export interface HistoryStore {
  getItem: (key: string) => string | null;
  setItem: (key: string, value: string) => void;
}

export function readHistory(store: HistoryStore): string[] {
  try {
    const value: unknown = JSON.parse(store.getItem(KEY) ?? '[]');
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string').slice(0, MAX_ENTRIES) : [];
  } catch {
    // Blocked or damaged storage: there is simply no history.
    return [];
  }
}

export function remember(store: HistoryStore, expr: string): void {
  const text = expr.trim();
  if (text === '' || text.length > MAX_ENTRY_CHARS) return;
  const next = [text, ...readHistory(store).filter((old) => old !== text)].slice(0, MAX_ENTRIES);
  try {
    store.setItem(KEY, JSON.stringify(next));
  } catch {
    // A full or blocked store must not stop a query from running.
  }
}
