// Owns the page: the list of queries in the address, the toolbar, the metrics browser beside them.

import { Button, Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { MAX_QUERIES } from '../app/search';
import { useUrl } from '../app/useUrl';
import { Icon } from '../design/Icon';
import { refreshNow } from '../time/useAutoRefresh';
import classes from './Explore.module.css';
import { remember } from './history';
import { MetricsBrowser } from './MetricsBrowser';
import type { EditorHandle } from './PromqlEditor';
import { QueryPanel } from './QueryPanel';
import { formatStep, parseStep, readQueries, STEP_CHOICES, writeQueries, type ExploreQuery } from './state';

export function ExplorePage() {
  const { search, patch } = useUrl();
  const client = useQueryClient();
  const [browsing, setBrowsing] = useState(false);
  // What stands in the editors but was not run yet, by position.
  const drafts = useRef(new Map<number, string>());
  const editors = useRef(new Map<number, EditorHandle>());
  const focused = useRef(0);
  const queries = readQueries(search);
  const { step } = parseStep(search.step);

  const write = (next: ExploreQuery[]) => {
    drafts.current.clear();
    patch(writeQueries(next));
  };
  /** Changes to the list take the drafts along, so that none is lost when positions move. */
  const drafted = () => queries.map((query, i) => ({ ...query, expr: drafts.current.get(i) ?? query.expr }));
  const run = (at: number, expr: string) => {
    remember(localStorage, expr);
    if (expr === queries[at]?.expr) refreshNow(client);
    else {
      drafts.current.delete(at);
      patch(writeQueries(queries.map((query, i) => (i === at ? { ...query, expr } : query))));
    }
  };
  const steps: string[] = [...STEP_CHOICES];
  const stepText = formatStep(step) ?? 'auto';
  if (!steps.includes(stepText)) steps.push(stepText);

  return (
    <div className={classes.page} data-browsing={browsing || undefined}>
      <div className={classes.queries}>
        {queries.map((query, i) => (
          <QueryPanel
            key={i}
            index={i}
            query={query}
            step={step}
            only={queries.length === 1}
            editor={(handle) => {
              if (handle) editors.current.set(i, handle);
              else editors.current.delete(i);
            }}
            onFocus={() => { focused.current = i; }}
            onDraft={(text) => drafts.current.set(i, text)}
            onRun={(text) => run(i, text ?? drafts.current.get(i) ?? query.expr)}
            onTab={(tab) => patch(writeQueries(queries.map((q, j) => (j === i ? { ...q, tab } : q))), true)}
            onDuplicate={() => write(drafted().toSpliced(i + 1, 0, drafted()[i]!))}
            onRemove={() => write(queries.length === 1 ? [{ expr: '', tab: 'graph' }] : drafted().toSpliced(i, 1))}
          />
        ))}
        <div className={classes.toolbar}>
          <Button
            leftSection={<Icon name="plus" size={14} />}
            disabled={queries.length >= MAX_QUERIES}
            onClick={() => write([...drafted(), { expr: '', tab: 'graph' }])}
          >
            Add query
          </Button>
          <Button leftSection={<Icon name="list" size={14} />} aria-pressed={browsing} onClick={() => setBrowsing(!browsing)}>
            Metrics
          </Button>
          <label className={classes.step}>
            <span className="dim">Step</span>
            <Select
              aria-label="Step"
              w={84}
              data={steps}
              value={stepText}
              allowDeselect={false}
              onChange={(value) => patch({ step: value === null || value === 'auto' ? undefined : value }, true)}
            />
          </label>
        </div>
      </div>
      {browsing && (
        <MetricsBrowser
          close={() => setBrowsing(false)}
          pick={(name) => (editors.current.get(focused.current) ?? editors.current.get(0))?.insert(name)}
        />
      )}
    </div>
  );
}
