// Owns the keyboard: which keys do what anywhere. Keys inside a field belong to the field, except ⌘K.

import { useNavigate } from '@tanstack/react-router';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { refreshNow } from '../time/useAutoRefresh';
import { useTimeRange } from '../time/useTimeRange';
import { PAGES } from './pages';
import { sharedSearch } from './search';
import type { Overlay } from './Shell';
import { useUrl } from './useUrl';

/** A second key has to follow "g" within this time. */
const CHORD_MS = 1_200;

export const SHORTCUTS: ReadonlyArray<{ keys: string[]; does: string }> = [
  { keys: ['⌘ K', 'Ctrl K'], does: 'find a page, metric, query, time range' },
  { keys: ['/'], does: 'focus the editor or filter of the page' },
  ...PAGES.map((page) => ({ keys: [`g ${page.key}`], does: `go to ${page.name}` })),
  { keys: ['['], does: 'earlier by half of the range' },
  { keys: [']'], does: 'later by half of the range' },
  { keys: ['-'], does: 'zoom out' },
  { keys: ['r'], does: 'refresh now' },
  { keys: ['⌘ Enter', 'Ctrl Enter'], does: 'run the query in the editor' },
  { keys: ['?'], does: 'show this list' },
];

function inField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Pages mark the one field "/" goes to. */
function focusMarked(): boolean {
  const marked = document.querySelector<HTMLElement>('[data-slash]');
  const field = marked?.querySelector<HTMLElement>('.cm-content') ?? marked;
  field?.focus();
  return field !== null && field !== undefined;
}

export function useShortcuts(open: (overlay: Overlay) => void): void {
  const navigate = useNavigate();
  const client = useQueryClient();
  const { search } = useUrl();
  const time = useTimeRange();
  const chordAt = useRef(Number.NEGATIVE_INFINITY);

  useEffect(() => {
    const actions: Record<string, () => void> = {
      '?': () => open('shortcuts'),
      '[': () => time.step(-1),
      ']': () => time.step(1),
      '-': () => time.widen(),
      r: () => refreshNow(client),
    };
    const onKey = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        open('palette');
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || inField(event.target)) return;
      if (document.querySelector('[role=dialog]')) return;
      if (event.timeStamp - chordAt.current < CHORD_MS) {
        chordAt.current = Number.NEGATIVE_INFINITY;
        const page = PAGES.find((p) => p.key === event.key);
        if (page) {
          event.preventDefault();
          void navigate({ to: page.path, search: sharedSearch(search) });
        }
        return;
      }
      if (event.key === 'g') {
        chordAt.current = event.timeStamp;
      } else if (event.key === '/') {
        if (focusMarked()) event.preventDefault();
      } else if (actions[event.key]) {
        event.preventDefault();
        actions[event.key]!();
      }
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [client, navigate, open, search, time]);
}
