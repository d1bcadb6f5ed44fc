// Owns the list of metrics beside the queries: name, type, help; a click puts the name into the editor.

import { ActionIcon, TextInput } from '@mantine/core';
import { useDeferredValue, useState } from 'react';
import { Icon } from '../design/Icon';
import classes from './Explore.module.css';
import { searchMetrics, useMetrics } from './metrics';

/** More cannot be scanned by eye; the search narrows. */
const MAX_SHOWN = 200;

interface MetricsBrowserProps {
  close: () => void;
  pick: (name: string) => void;
}

export function MetricsBrowser({ close, pick }: MetricsBrowserProps) {
  const [text, setText] = useState('');
  const wanted = useDeferredValue(text);
  const { metrics, error } = useMetrics();
  const found = searchMetrics(metrics ?? [], wanted);
  return (
    <aside className={classes.browser} aria-label="Metrics">
      <div className={classes.browserHead}>
        <TextInput
          autoFocus
          aria-label="Search metrics"
          placeholder="Name or description"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          leftSection={<Icon name="search" size={14} />}
        />
        <ActionIcon onClick={close} aria-label="Close the list of metrics"><Icon name="close" /></ActionIcon>
      </div>
      <p className={classes.facts} role="status">
        {error ? `Cannot list metrics: ${error.message}` : metrics ? `${found.length} of ${metrics.length} metrics` : '\u00a0'}
      </p>
      <ul className={classes.metrics}>
        {found.slice(0, MAX_SHOWN).map(({ name, meta }) => (
          <li key={name}>
            <button type="button" onClick={() => pick(name)}>
              <span className="mono">{name}</span>
              {meta && <i>{meta.type}</i>}
              <small>{meta?.help ?? 'no description'}</small>
            </button>
          </li>
        ))}
        {found.length > MAX_SHOWN && <li className={classes.hint}>and {found.length - MAX_SHOWN} more: narrow the search</li>}
      </ul>
    </aside>
  );
}
