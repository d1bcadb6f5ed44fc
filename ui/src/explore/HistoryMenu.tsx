// Owns the menu of earlier queries.

import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { useState } from 'react';
import { Icon } from '../design/Icon';
import classes from './Explore.module.css';
import { readHistory } from './history';

export function HistoryMenu({ choose }: { choose: (expr: string) => void }) {
  const [entries, setEntries] = useState<string[]>([]);
  return (
    <Menu position="bottom-end" width={480} onOpen={() => setEntries(readHistory(localStorage))}>
      <Menu.Target>
        <Tooltip label="Earlier queries">
          <ActionIcon size={34} aria-label="Earlier queries"><Icon name="history" /></ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown className={classes.history}>
        {entries.length === 0 && <Menu.Label>Queries you run are kept here, in this browser</Menu.Label>}
        {entries.map((expr) => (
          <Menu.Item key={expr} onClick={() => choose(expr)} title={expr}><span className="mono">{expr}</span></Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
