// Owns one query: its editor, its actions, its tabs, and where its error is shown.

import { ActionIcon, Button, SegmentedControl, Tooltip } from '@mantine/core';
import { lazy, Suspense, useState, type RefCallback } from 'react';
import { ApiError } from '../api/client';
import { Icon } from '../design/Icon';
import classes from './Explore.module.css';
import { GraphTab } from './GraphTab';
import { HistoryMenu } from './HistoryMenu';
import { PlanTab } from './PlanTab';
import type { EditorHandle } from './PromqlEditor';
import type { ExploreQuery, Step, Tab } from './state';
import { TableTab } from './TableTab';

const loading = import('./PromqlEditor');
const PromqlEditor = lazy(() => loading);

const RESULTS = { graph: GraphTab, table: TableTab, plan: PlanTab };

interface QueryPanelProps {
  index: number;
  query: ExploreQuery;
  step: Step;
  only: boolean;
  editor: RefCallback<EditorHandle>;
  onFocus: () => void;
  onDraft: (text: string) => void;
  /** Without a text: what stands in the editor. */
  onRun: (text?: string) => void;
  onTab: (tab: Tab) => void;
  onDuplicate: () => void;
  onRemove: () => void;
}

export function QueryPanel({ index, query, step, only, editor, onFocus, onDraft, onRun, onTab, onDuplicate, onRemove }: QueryPanelProps) {
  const [error, setError] = useState<Error | null>(null);
  const refused = error instanceof ApiError && error.kind === 'bad_data' ? error.message : undefined;
  const label = `Query ${index + 1}`;
  const Result = RESULTS[query.tab];
  return (
    <section className={classes.panel} aria-label={label} data-query={index}>
      <div className={classes.editorRow}>
        <div className={classes.editor} onFocus={onFocus} data-slash={index === 0 ? '' : undefined}>
          <Suspense fallback={<pre className={classes.placeholder}>{query.expr || '\u00a0'}</pre>}>
            <PromqlEditor ref={editor} expr={query.expr} label={label} error={refused} onChange={onDraft} onRun={onRun} />
          </Suspense>
        </div>
        <Tooltip label="Run (Ctrl or ⌘ Enter)">
          <Button variant="filled" h={34} leftSection={<Icon name="play" size={12} />} onClick={() => onRun()}>Run</Button>
        </Tooltip>
        <HistoryMenu choose={onRun} />
        <Tooltip label="Duplicate">
          <ActionIcon size={34} onClick={onDuplicate} aria-label={`Duplicate query ${index + 1}`}><Icon name="copy" /></ActionIcon>
        </Tooltip>
        <Tooltip label={only ? 'Clear' : 'Remove'}>
          <ActionIcon size={34} onClick={onRemove} aria-label={`${only ? 'Clear' : 'Remove'} query ${index + 1}`}><Icon name="trash" /></ActionIcon>
        </Tooltip>
      </div>
      <div className={classes.tabs}>
        <SegmentedControl
          aria-label="Result as"
          value={query.tab}
          onChange={(value) => onTab(value as Tab)}
          data={[{ value: 'graph', label: 'Graph' }, { value: 'table', label: 'Table' }, { value: 'plan', label: 'Plan' }]}
          transitionDuration={0}
        />
      </div>
      {query.expr.trim() === ''
        ? <p className={classes.hint}>Write a query and run it, or open “Metrics” to see what there is.</p>
        : <Result key={query.tab} expr={query.expr} step={step} onError={setError} />}
    </section>
  );
}
