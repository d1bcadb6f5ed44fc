// Owns the global clock's controls: range, steps, zoom, refresh.

import { ActionIcon, Button, Popover, Tooltip } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Icon } from '../design/Icon';
import { rangeText } from './format';
import { now } from './clock';
import { isLive, resolve } from './range';
import { RangeForm } from './RangeForm';
import { RefreshMenu } from './RefreshMenu';
import classes from './TimePicker.module.css';
import { refreshNow } from './useAutoRefresh';
import { useTimeRange } from './useTimeRange';

export function TimePicker() {
  const [open, setOpen] = useState(false);
  const client = useQueryClient();
  const time = useTimeRange();
  const atNow = isLive(time.range) && resolve(time.range, now()).endMs >= now();
  return (
    <div className={classes.picker} role="group" aria-label="Time range">
      <Tooltip label="Earlier ( [ )">
        <ActionIcon className={classes.wide} onClick={() => time.step(-1)} aria-label="Earlier"><Icon name="back" /></ActionIcon>
      </Tooltip>
      <Popover opened={open} onChange={setOpen} position="bottom-end" trapFocus width={420}>
        <Popover.Target>
          <Button className={classes.range} onClick={() => setOpen(!open)} leftSection={<Icon name="clock" size={14} />} aria-haspopup="dialog">
            {rangeText(time.range)}
          </Button>
        </Popover.Target>
        <Popover.Dropdown p={12} maw="calc(100vw - 16px)">
          <RangeForm range={time.range} choose={(range) => { time.setRange(range); setOpen(false); }} />
        </Popover.Dropdown>
      </Popover>
      <Tooltip label="Later ( ] )">
        <ActionIcon className={classes.wide} onClick={() => time.step(1)} disabled={atNow} aria-label="Later"><Icon name="forward" /></ActionIcon>
      </Tooltip>
      <Tooltip label="Zoom out ( - )">
        <ActionIcon className={classes.wide} onClick={time.widen} aria-label="Zoom out"><Icon name="zoomOut" /></ActionIcon>
      </Tooltip>
      <Button.Group>
        <Tooltip label="Refresh now ( r )">
          <Button px={8} onClick={() => refreshNow(client)} aria-label="Refresh now"><Icon name="refresh" size={14} /></Button>
        </Tooltip>
        <RefreshMenu live={isLive(time.range)} refresh={time.refresh} choose={time.setRefresh} />
      </Button.Group>
    </div>
  );
}
