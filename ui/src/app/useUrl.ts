// Owns reading and writing the address from components. Writing merges; `undefined` removes a parameter.

import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';
import type { UrlSearch } from './search';

export function useUrl(): { search: UrlSearch; patch: (change: Partial<UrlSearch>, replace?: boolean) => void } {
  const search = useSearch({ strict: false }) as UrlSearch;
  const navigate = useNavigate();
  const patch = useCallback(
    (change: Partial<UrlSearch>, replace = false) => {
      void navigate({ to: '.', search: (previous) => ({ ...previous, ...change }), replace });
    },
    [navigate],
  );
  return { search, patch };
}
