// Owns the graph of a query over the global range.

import { useElementSize } from '@mantine/hooks';
import { useEffect, useMemo } from 'react';
import { Chart } from '../chart/Chart';
import { MAX_DRAWN_SERIES, useRangeFrame } from '../chart/useRangeFrame';
import { now } from '../time/clock';
import { formatDuration, resolve } from '../time/range';
import { autoStep } from '../time/step';
import { useTimeRange } from '../time/useTimeRange';
import classes from './Explore.module.css';
import { Notes } from './Notes';
import type { Step } from './state';
import { guessUnit } from './units';

/** Widths are rounded to this, so that resizing the window does not ask the server at every pixel. */
const WIDTH_BUCKET_PX = 200;

interface TabProps {
  expr: string;
  step: Step;
  onError: (error: Error | null) => void;
}

export function GraphTab({ expr, step, onError }: TabProps) {
  const { ref, width } = useElementSize();
  const { range } = useTimeRange();
  const { startMs, endMs } = resolve(range, now());
  const bucket = Math.max(WIDTH_BUCKET_PX, Math.floor(width / WIDTH_BUCKET_PX) * WIDTH_BUCKET_PX);
  const stepSec = step.kind === 'fixed' ? step.sec : autoStep(Math.round((endMs - startMs) / 1_000), bucket, 1);
  const queries = useMemo(() => [{ expr }], [expr]);
  const { frame, answer, error, fetching } = useRangeFrame(queries, { stepSec, identity: `explore ${expr}`, enabled: width > 0 });
  useEffect(() => onError(error), [error, onError]);

  const found = answer?.elements[0];
  const histograms = found?.filter((element) => element.histograms.length > 0).length ?? 0;
  const facts = found && !error
    ? [
        `${found.length} series`,
        `step ${formatDuration(stepSec * 1_000)}`,
        ...(found.length > MAX_DRAWN_SERIES ? [`the first ${MAX_DRAWN_SERIES} are drawn`] : []),
        ...(histograms > 0 ? [`${histograms} native histograms are not drawn: use histogram_quantile() or the table`] : []),
      ]
    : [];
  return (
    <div ref={ref} className={classes.result} aria-busy={fetching}>
      <Notes facts={facts} tookMs={error ? undefined : answer?.tookMs} warnings={answer?.warnings ?? []} infos={answer?.infos ?? []} error={error} />
      {!(error && !frame) && (
        <Chart title={expr} frame={frame} kind="lines" unit={guessUnit(frame?.series ?? [])} plotHeight={300} legendHeight={168} />
      )}
      {frame?.series.length === 0 && !error && <p className={classes.empty}>The query is right and finds no series in this time range.</p>}
    </div>
  );
}
