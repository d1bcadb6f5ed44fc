// Owns the top bar: the page's name, the search button, the global clock, the theme.

import { ActionIcon, Tooltip, UnstyledButton } from '@mantine/core';
import { useRouterState } from '@tanstack/react-router';
import { Icon } from '../design/Icon';
import { TimePicker } from '../time/TimePicker';
import { PAGES } from './pages';
import type { Overlay } from './Shell';
import classes from './Shell.module.css';
import { ThemeToggle } from './ThemeToggle';

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

export function TopBar({ open }: { open: (overlay: Overlay) => void }) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const page = PAGES.find((p) => path.startsWith(p.path));
  return (
    <header className={classes.bar}>
      <h1 className={classes.title}>{page?.name ?? 'Bellwether'}</h1>
      <UnstyledButton className={classes.search} onClick={() => open('palette')} aria-label="Find anything" aria-haspopup="dialog">
        <Icon name="search" size={14} />
        <span>Find a page, metric or query</span>
        <kbd>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
      </UnstyledButton>
      <div className={classes.grow} />
      <TimePicker />
      <ThemeToggle />
      <Tooltip label="Keyboard shortcuts (?)">
        <ActionIcon className={classes.wideOnly} onClick={() => open('shortcuts')} aria-label="Keyboard shortcuts">
          <Icon name="keyboard" />
        </ActionIcon>
      </Tooltip>
    </header>
  );
}
