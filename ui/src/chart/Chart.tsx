// Owns the graph with its legend as pages use it: the lazy plot in a box of fixed height, and which series are hidden.

import { lazy, Suspense, useCallback, useMemo, useRef, useState } from 'react';
import { useScheme } from '../design/useScheme';
import type { Unit } from '../design/units';
import { formatValue } from '../design/units';
import { useTimeRange } from '../time/useTimeRange';
import classes from './Chart.module.css';
import { summarize, type Frame } from './frame';
import { Legend, type LegendHandle } from './Legend';
import type { ChartKind } from './uplotOptions';

// Fetched beside the data, not after them.
const loading = import('./Plot');
const Plot = lazy(() => loading);

interface ChartProps {
  title: string;
  frame: Frame | undefined;
  kind: ChartKind;
  unit: Unit;
  max?: number;
  plotHeight: number;
  legendHeight: number;
}

/** What a screen reader says for the picture. */
function describe(title: string, frame: Frame | undefined, unit: Unit): string {
  if (!frame || frame.series.length === 0) return `${title}: no data`;
  const parts = frame.series.slice(0, 5).map((s) => `${s.name} ${formatValue(summarize(s.values).last, unit)}`);
  return `${title}, ${frame.series.length} series: ${parts.join(', ')}`;
}

export function Chart({ title, frame, kind, unit, max, plotHeight, legendHeight }: ChartProps) {
  const scheme = useScheme();
  const { zoomTo } = useTimeRange();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const legend = useRef<LegendHandle>(null);
  const look = useMemo(() => ({ kind, unit, max, scheme, hidden }), [kind, unit, max, scheme, hidden]);
  const onHover = useCallback((index: number | null) => legend.current?.showAt(index), []);

  const toggle = (name: string, only: boolean) => {
    const names = frame?.series.map((s) => s.name) ?? [];
    setHidden((before) => {
      if (only) {
        const others = names.filter((other) => other !== name);
        const alone = others.every((other) => before.has(other)) && !before.has(name);
        return new Set(alone ? [] : others);
      }
      const after = new Set(before);
      if (!after.delete(name)) after.add(name);
      return after;
    });
  };

  const drawable = frame && frame.series.length > 0;
  return (
    <div className={classes.chart}>
      <div role="img" aria-label={describe(title, frame, unit)} style={{ height: plotHeight }}>
        {drawable && (
          <Suspense fallback={null}>
            <Plot frame={frame} look={look} height={plotHeight} onHover={onHover} onZoom={zoomTo} />
          </Suspense>
        )}
      </div>
      <div className={classes.legendBox} style={{ height: legendHeight }}>
        {drawable && <Legend ref={legend} frame={frame} look={look} onToggle={toggle} />}
      </div>
    </div>
  );
}
