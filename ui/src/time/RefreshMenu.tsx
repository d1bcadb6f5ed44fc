// Owns the menu of refresh intervals.

import { Button, Menu } from '@mantine/core';
import { Icon } from '../design/Icon';
import { REFRESH_CHOICES, REFRESH_NAMES, type Refresh } from './refresh';
import classes from './TimePicker.module.css';

interface RefreshMenuProps {
  /** An absolute range does not change, so nothing is refreshed. */
  live: boolean;
  refresh: Refresh;
  choose: (refresh: Refresh) => void;
}

export function RefreshMenu({ live, refresh, choose }: RefreshMenuProps) {
  const running = live && refresh !== 'off';
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button px={8} className={classes.refresh} rightSection={<Icon name="chevron" size={12} />} aria-label={`Automatic refresh: ${running ? REFRESH_NAMES[refresh] : 'off'}`}>
          <i className={classes.lamp} data-on={running || undefined} />
          {running ? (refresh === '5s' ? 'Live' : refresh) : 'Off'}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{live ? 'Automatic refresh' : 'A fixed time range does not change'}</Menu.Label>
        {REFRESH_CHOICES.map((choice) => (
          <Menu.Item key={choice} disabled={!live} onClick={() => choose(choice)} aria-current={choice === refresh || undefined}>
            {REFRESH_NAMES[choice]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
