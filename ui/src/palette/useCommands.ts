// Owns the gathering of commands from the rest of the program.

import { useMantineColorScheme } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useMemo } from 'react';
import { PAGES } from '../app/pages';
import { sharedSearch } from '../app/search';
import { useUrl } from '../app/useUrl';
import { readHistory } from '../explore/history';
import { useMetrics } from '../explore/metrics';
import { PRESETS } from '../time/format';
import { lastOf } from '../time/range';
import { REFRESH_CHOICES, REFRESH_NAMES } from '../time/refresh';
import { useTimeRange } from '../time/useTimeRange';
import type { Command } from './commands';

export function useCommands(showShortcuts: () => void): Command[] {
  const navigate = useNavigate();
  const { search } = useUrl();
  const { setRange, setRefresh } = useTimeRange();
  const { setColorScheme } = useMantineColorScheme();
  const { metrics } = useMetrics();
  const history = useMemo(() => readHistory(localStorage), []);
  return useMemo(() => {
    const shared = sharedSearch(search);
    const explore = (expr: string) => () => void navigate({ to: '/explore', search: { ...shared, q: [expr] } });
    return [
      ...PAGES.map((page): Command => ({
        id: page.path, group: 'Pages', text: page.name, hint: `g ${page.key}`, run: () => void navigate({ to: page.path, search: shared }),
      })),
      ...history.map((expr): Command => ({ id: `query ${expr}`, group: 'Earlier queries', text: expr, mono: true, run: explore(expr) })),
      ...(metrics ?? []).map(({ name, meta }): Command => ({
        id: `metric ${name}`, group: 'Metrics', text: name, hint: meta?.help, mono: true, run: explore(name),
      })),
      ...PRESETS.map((preset): Command => ({
        id: `range ${preset.text}`, group: 'Time range', text: `Last ${preset.name}`, hint: preset.text, run: () => setRange(lastOf(preset.ms)),
      })),
      ...REFRESH_CHOICES.map((choice): Command => ({
        id: `refresh ${choice}`, group: 'Refresh', text: `Refresh: ${REFRESH_NAMES[choice]}`, run: () => setRefresh(choice),
      })),
      ...(['auto', 'light', 'dark'] as const).map((scheme): Command => ({
        id: `theme ${scheme}`, group: 'Theme', text: `Theme: ${scheme}`, run: () => setColorScheme(scheme),
      })),
      { id: 'shortcuts', group: 'Help', text: 'Keyboard shortcuts', hint: '?', run: showShortcuts },
    ];
  }, [history, metrics, navigate, search, setColorScheme, setRange, setRefresh, showShortcuts]);
}
