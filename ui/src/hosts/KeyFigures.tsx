// Owns the strip of key figures.

import { useInstant, numberOf } from './useInstant';
import { FIGURES, level, type Figure } from './figures';
import classes from './Hosts.module.css';
import { fillAll, type MaybeContext } from './panel';

function KeyFigure({ figure, context }: { figure: Figure; context: MaybeContext }) {
  const { data, error } = useInstant(fillAll(figure.exprs, context), `${figure.id} ${context?.host}`);
  const values = figure.exprs.map((_, i) => numberOf(data?.[i]?.[0]));
  const share = data && figure.share ? figure.share(values) : null;
  const known = values.some((value) => value !== null);
  return (
    <div className={classes.figure} data-figure={figure.id} title={error?.message}>
      <dt>{figure.title}</dt>
      <dd>
        <b>{known ? figure.text(values) : data ? '–' : '\u00a0'}</b>
        <span className={error ? classes.bad : 'dim'}>{error ? 'error' : known ? figure.note?.(values) : data ? 'no data' : ''}</span>
      </dd>
      <div className={classes.bar} data-empty={figure.share === undefined || undefined}>
        {share !== null && <i data-level={level(share)} style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />}
      </div>
    </div>
  );
}

export function KeyFigures({ context }: { context: MaybeContext }) {
  return (
    <dl className={classes.figures}>
      {FIGURES.map((figure) => <KeyFigure key={figure.id} figure={figure} context={context} />)}
    </dl>
  );
}
