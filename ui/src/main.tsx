// Owns the start: providers around the router, nothing else.

import './design/mantine.css';
import './design/tokens.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/client';
import { router } from './app/router';
import { cssVariables, theme } from './design/theme';

/** Answers of ranges no longer on screen are dropped soon: they are large and outdated. */
const KEEP_UNUSED_MS = 60_000;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      gcTime: KEEP_UNUSED_MS,
      staleTime: 4_000,
      refetchOnWindowFocus: false,
      // Only a server that cannot be reached may be back in a moment; its own answers are final.
      retry: (count, error) => count < 1 && error instanceof ApiError && error.kind === 'unreachable',
      retryDelay: 1_000,
      networkMode: 'always',
    },
  },
});

const schemes = localStorageColorSchemeManager({ key: 'bellwether.theme' });

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} colorSchemeManager={schemes} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
