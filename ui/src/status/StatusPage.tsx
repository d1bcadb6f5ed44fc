// Owns the page about the server itself: build, runtime, storage.

import { useQuery } from '@tanstack/react-query';
import { getFacts, getRemoteWrite, getTsdb, type Facts } from '../api/status';
import { LIVE } from '../time/useAutoRefresh';
import { factRows } from './facts';
import { RemoteWriteCard } from './RemoteWriteCard';
import classes from './Status.module.css';

interface CardProps {
  title: string;
  facts: Facts | undefined;
  error: Error | null;
}

function FactCard({ title, facts, error }: CardProps) {
  return (
    <section className={classes.card} aria-label={title}>
      <h2>{title}</h2>
      {error && <p className={classes.error} role="alert">{error.message}</p>}
      <dl>
        {factRows(facts ?? {}).map(([name, text]) => (
          <div key={name}><dt>{name}</dt><dd>{text}</dd></div>
        ))}
      </dl>
    </section>
  );
}

function CountCard({ title, counts }: { title: string; counts: Array<{ name: string; value: number }> }) {
  const most = Math.max(1, ...counts.map((c) => c.value));
  return (
    <section className={classes.card} aria-label={title}>
      <h2>{title}</h2>
      <dl className={classes.counts}>
        {counts.map(({ name, value }) => (
          <div key={name}>
            <dt className="mono">{name}</dt>
            <dd>{value.toLocaleString('en')}</dd>
            <i style={{ width: `${(value / most) * 100}%` }} />
          </div>
        ))}
      </dl>
      {counts.length === 0 && <p className="dim">none</p>}
    </section>
  );
}

export function StatusPage() {
  const build = useQuery({ queryKey: ['build'], queryFn: ({ signal }) => getFacts('buildinfo', signal) });
  const runtime = useQuery({ queryKey: ['runtime'], queryFn: ({ signal }) => getFacts('runtimeinfo', signal), meta: LIVE });
  const tsdb = useQuery({ queryKey: ['tsdb'], queryFn: ({ signal }) => getTsdb(signal), meta: LIVE });
  const remoteWrite = useQuery({ queryKey: ['remote-write'], queryFn: ({ signal }) => getRemoteWrite(signal), meta: LIVE });
  // Cards that came one by one would push each other around.
  if ([build, runtime, tsdb, remoteWrite].some((query) => query.isPending)) return <p className="dim" role="status">Loading…</p>;
  return (
    <div className={classes.grid}>
      <FactCard title="Build" facts={build.data?.data} error={build.error} />
      <FactCard title="Runtime" facts={runtime.data?.data} error={runtime.error} />
      <FactCard title="Storage head" facts={tsdb.data?.data.headStats} error={tsdb.error} />
      <RemoteWriteCard endpoints={remoteWrite.data?.data.endpoints ?? []} error={remoteWrite.error} />
      {tsdb.data && (
        <>
          <CountCard title="Series by metric" counts={tsdb.data.data.seriesCountByMetricName} />
          <CountCard title="Values by label" counts={tsdb.data.data.labelValueCountByLabelName} />
          <CountCard title="Series by label pair" counts={tsdb.data.data.seriesCountByLabelValuePair} />
        </>
      )}
    </div>
  );
}
