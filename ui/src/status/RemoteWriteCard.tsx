// Owns the card about the servers that samples are sent on to: who is behind, by how much, and why.

import type { RemoteWriteEndpoint } from '../api/status';
import { formatAge } from '../design/units';
import { agoText } from '../time/format';
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

interface Props {
  endpoints: RemoteWriteEndpoint[];
  error: Error | null;
}

/** Nothing while there is nobody to send to. */
export function RemoteWriteCard({ endpoints, error }: Props) {
  if (endpoints.length === 0 && !error) return null;
  return (
    <section className={classes.card} aria-label="Remote write">
      <h2>Remote write</h2>
      {error && <p className={classes.error} role="alert">{error.message}</p>}
      {endpoints.map((endpoint) => <Endpoint key={endpoint.name} endpoint={endpoint} />)}
    </section>
  );
}
