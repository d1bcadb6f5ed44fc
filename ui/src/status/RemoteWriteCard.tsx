// Owns the card about the servers that samples are sent on to: who is behind, by how much, and why.

import { useQuery } from '@tanstack/react-query';
import { getRemoteWrite, type RemoteWriteEndpoint } from '../api/status';
import { formatAge } from '../design/units';
import { agoText } from '../time/format';
import { LIVE } from '../time/useAutoRefresh';
import { useNow } from '../time/useTimeRange';
import classes from './Status.module.css';

function Endpoint({ endpoint: e }: { endpoint: RemoteWriteEndpoint }) {
  const now = useNow();
  const behind = e.behindSeconds === undefined ? 'nothing sent yet' : formatAge(e.behindSeconds);
  return (
    <article data-endpoint={e.name}>
      <h3 className="mono">{e.url}</h3>
      <dl>
        <div><dt>Name</dt><dd className="mono">{e.name}</dd></div>
        <div><dt>Behind</dt><dd>{behind}</dd></div>
        <div><dt>Samples pending</dt><dd>{e.pending.toLocaleString('en')}</dd></div>
        <div><dt>Samples failed</dt><dd>{e.failed.toLocaleString('en')}</dd></div>
        <div><dt>Shards</dt><dd>{e.shards.toLocaleString('en')}</dd></div>
        {e.lastError && (
          <div>
            <dt>Last error, {agoText(Date.parse(e.lastErrorTime), now)}</dt>
            <dd className={classes.error}>{e.lastError}</dd>
          </div>
        )}
      </dl>
    </article>
  );
}

/** Nothing while there is nobody to send to. */
export function RemoteWriteCard() {
  const query = useQuery({ queryKey: ['remote-write'], queryFn: ({ signal }) => getRemoteWrite(signal), meta: LIVE });
  const endpoints = query.data?.data.endpoints ?? [];
  if (endpoints.length === 0 && !query.error) return null;
  return (
    <section className={classes.card} aria-label="Remote write">
      <h2>Remote write</h2>
      {query.error && <p className={classes.error} role="alert">{query.error.message}</p>}
      {endpoints.map((endpoint) => <Endpoint key={endpoint.name} endpoint={endpoint} />)}
    </section>
  );
}
