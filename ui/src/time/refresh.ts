// Owns the choices of automatic refresh and their text in the address.

export const REFRESH_CHOICES = ['off', '5s', '15s', '1m', '5m'] as const;
export type Refresh = (typeof REFRESH_CHOICES)[number];

export const DEFAULT_REFRESH: Refresh = '5s';

export const REFRESH_MS: Record<Refresh, number | undefined> = {
  off: undefined,
  '5s': 5_000,
  '15s': 15_000,
  '1m': 60_000,
  '5m': 300_000,
};

export const REFRESH_NAMES: Record<Refresh, string> = {
  off: 'Off',
  '5s': 'Live, 5 s',
  '15s': 'Every 15 s',
  '1m': 'Every minute',
  '5m': 'Every 5 minutes',
};

export function parseRefresh(text: string | undefined): { refresh: Refresh; problem?: string } {
  if (text === undefined) return { refresh: DEFAULT_REFRESH };
  const refresh = REFRESH_CHOICES.find((choice) => choice === text);
  if (refresh) return { refresh };
  return { refresh: DEFAULT_REFRESH, problem: `cannot refresh every “${text}”: choose one of ${REFRESH_CHOICES.join(', ')}` };
}
