// Owns the answer to "light or dark right now", with "auto" already decided.

import { useComputedColorScheme } from '@mantine/core';
import type { Scheme } from './palette';

export function useScheme(): Scheme {
  return useComputedColorScheme('light', { getInitialValueInEffect: false });
}
