// Owns the plan of a query over the global range: its parts as a tree, with what each gave and took.

import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { explainRange, type PlanNode } from '../api/explain';
import { formatSeconds, formatValue } from '../design/units';
import { now } from '../time/clock';
import { formatDuration, resolve } from '../time/range';
import { alignedGrid, autoStep } from '../time/step';
import { LIVE } from '../time/useAutoRefresh';
import { useTimeRange } from '../time/useTimeRange';
import classes from './Explore.module.css';
import { Notes } from './Notes';
import { planRows } from './plan';
import type { Step } from './state';

/** The width for which the step is chosen where nothing is drawn: about that of a graph. */
const GRAPH_PX = 1_000;

interface TabProps {
  expr: string;
  step: Step;
  onError: (error: Error | null) => void;
}

export function PlanTab({ expr, step, onError }: TabProps) {
  const { range, key } = useTimeRange();
  const { startMs, endMs } = resolve(range, now());
  const stepSec = step.kind === 'fixed' ? step.sec : autoStep(Math.round((endMs - startMs) / 1_000), GRAPH_PX, 1);
  const { data, error } = useQuery({
    queryKey: ['plan', expr, key, stepSec],
    queryFn: ({ signal }) => explainRange(expr, alignedGrid(resolve(range, now()), stepSec), signal),
    placeholderData: (previous, query) => (query?.meta?.identity === expr ? previous : undefined),
    meta: { ...LIVE, identity: expr },
  });
  useEffect(() => onError(error), [error, onError]);
  const answer = error ? undefined : data?.data;
  const facts = answer
    ? [
        `${answer.result.series} series`,
        `step ${formatDuration(stepSec * 1_000)}`,
        `${formatValue(answer.result.samples, 'number')} samples`,
        `gathering ${formatSeconds(answer.timings.gatherSeconds)}`,
        `evaluating ${formatSeconds(answer.timings.evaluateSeconds)}`,
      ]
    : [];
  return (
    <div className={classes.result}>
      <Notes facts={facts} tookMs={answer && answer.timings.totalSeconds * 1_000} warnings={data?.warnings ?? []} infos={data?.infos ?? []} error={error} />
      {answer && <PlanTable plan={answer.plan} />}
    </div>
  );
}

function PlanTable({ plan }: { plan: PlanNode }) {
  const rows = planRows(plan);
  return (
    <div className={classes.tableBox}>
      <table className={`${classes.table} ${classes.plan}`}>
        <thead>
          <tr>
            <th scope="col">Operator</th>
            <th scope="col">Gathered</th>
            <th scope="col">Samples</th>
            <th scope="col">Series</th>
            <th scope="col">Values</th>
            <th scope="col">Total</th>
            <th scope="col">Own time</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ node, depth, share, gathered }, i) => (
            <tr key={i}>
              <td className="mono" style={{ paddingLeft: `calc(var(--space-3) + ${depth * 16}px)` }}>{node.operator}</td>
              <td>{gathered}</td>
              <td>{node.read ? formatValue(node.read.samples, 'number') : ''}</td>
              <td>{formatValue(node.series, 'number')}</td>
              <td>{formatValue(node.points, 'number')}</td>
              <td>{formatSeconds(node.totalSeconds)}</td>
              <td><span className={classes.share} style={{ width: `${share * 100}%` }} />{formatSeconds(node.ownSeconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
