// Owns one panel: title, link to Explore, graph, and what it says instead of a graph. Its height never changes.

import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { sharedSearch } from '../app/search';
import { useUrl } from '../app/useUrl';
import { Chart } from '../chart/Chart';
import { naturalOrder, withColors } from '../chart/frame';
import { useRangeFrame } from '../chart/useRangeFrame';
import { Icon } from '../design/Icon';
import classes from './Hosts.module.css';
import { fill, type MaybeContext, type PanelSpec } from './panel';
import { useEmptyReason } from './useEmptyReason';
import { useInView } from './useInView';

const PLOT_HEIGHT = 164;
const LEGEND_HEIGHT = 110;

interface PanelProps {
  spec: PanelSpec;
  context: MaybeContext;
  stepSec: number;
}

export function Panel({ spec, context, stepSec }: PanelProps) {
  const [box, seen] = useInView<HTMLElement>();
  const { search } = useUrl();
  const queries = useMemo(() => (context ? spec.queries.map((q) => ({ ...q, expr: fill(q.expr, context) })) : []), [spec, context]);
  const identity = `${spec.id} ${context?.host}`;
  const { frame: raw, error, fetching } = useRangeFrame(queries, { stepSec, identity, enabled: seen && context !== undefined });
  const frame = useMemo(() => raw && (spec.kind === 'heat' ? naturalOrder(raw) : withColors(raw, spec.colors)), [raw, spec]);
  const empty = frame !== undefined && frame.series.length === 0;
  const reason = useEmptyReason(spec, context, empty);
  return (
    <section ref={box} className={classes.panel} aria-label={spec.title} aria-busy={fetching && !frame} data-panel={spec.id}>
      <header className={classes.panelHead}>
        <h3>{spec.title}</h3>
        <Link
          to="/explore"
          search={{ ...sharedSearch(search), q: queries.map((q) => q.expr) }}
          className={classes.exploreLink}
          aria-label={`Open ${spec.title} in Explore`}
          title="Open in Explore"
        >
          <Icon name="link" size={14} />
        </Link>
      </header>
      <div className={classes.panelBody}>
        <Chart title={spec.title} frame={frame} kind={spec.kind} unit={spec.unit} max={spec.max} plotHeight={PLOT_HEIGHT} legendHeight={LEGEND_HEIGHT} />
        {empty && !error && <p className={classes.overlay}><b>No data</b>{reason}</p>}
        {error && <p className={classes.overlay} data-error="" data-over={frame ? '' : undefined} role="alert"><b>Cannot load</b>{error.message}</p>}
      </div>
    </section>
  );
}
