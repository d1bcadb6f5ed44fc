// Owns the reading of times that may not have come.

/** Go's zero time: it has not happened. */
export function isNever(time: string): boolean {
  return time === '' || time.startsWith('0001-01-01');
}
