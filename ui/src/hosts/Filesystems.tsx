// Owns the table of filesystems: size, use, inodes, with bars.

import { formatValue } from '../design/units';
import { level } from './figures';
import classes from './Hosts.module.css';
import { fillAll, type MaybeContext } from './panel';
import { numberOf, useInstant } from './useInstant';

/** In memory or read-only by nature: never "full" in a way that matters. */
const REAL = 'fstype!~"tmpfs|ramfs|devtmpfs|squashfs|iso9660|efivarfs"';
const METRICS = ['size', 'free', 'avail'].map((what) => `node_filesystem_${what}_bytes`).concat('node_filesystem_files', 'node_filesystem_files_free', 'node_filesystem_readonly');

interface Row {
  mount: string;
  device: string;
  type: string;
  numbers: Array<number | null>;
}

function Share({ share }: { share: number | null }) {
  if (share === null) return <span className="dim">–</span>;
  return (
    <span className={classes.share}>
      <span>{formatValue(share * 100, 'percent')}</span>
      <span className={classes.bar}><i data-level={level(share)} style={{ width: `${share * 100}%` }} /></span>
    </span>
  );
}

/** Used of what users can have: the reserved blocks are not theirs, as df counts. */
function usedShare([size, free, avail]: Array<number | null>): number | null {
  if (size === null || free === null || avail === null || size === undefined || free === undefined || avail === undefined) return null;
  const used = size - free;
  return used + avail === 0 ? null : used / (used + avail);
}

export function Filesystems({ context }: { context: MaybeContext }) {
  const { data, error } = useInstant(fillAll(METRICS.map((m) => `${m}{$host,${REAL}}`), context), `filesystems ${context?.host}`);
  const rows: Row[] = (data?.[0] ?? []).map(({ metric }) => {
    const same = (other: { metric: Record<string, string> }) => other.metric.mountpoint === metric.mountpoint && other.metric.device === metric.device;
    return {
      mount: metric.mountpoint ?? '',
      device: metric.device ?? '',
      type: metric.fstype ?? '',
      numbers: METRICS.map((_, i) => numberOf(data?.[i]?.find(same))),
    };
  }).sort((a, b) => a.mount.localeCompare(b.mount));
  return (
    <section aria-label="Filesystems">
      <h2 className={classes.sectionTitle}>Filesystems</h2>
      <div className={classes.tableBox}>
        <table className={classes.table}>
          <thead>
            <tr><th>Mounted on</th><th>Device</th><th>Type</th><th>Size</th><th>Available</th><th>Used</th><th>Inodes used</th></tr>
          </thead>
          <tbody>
            {rows.map(({ mount, device, type, numbers }) => {
              const [size, , avail, files, filesFree, readOnly] = numbers;
              return (
                <tr key={`${mount} ${device}`} data-filesystem={mount}>
                  <td className="mono">{mount}{readOnly === 1 && <span className="dim"> read-only</span>}</td>
                  <td className="mono">{device}</td>
                  <td>{type}</td>
                  <td>{formatValue(size, 'bytes')}</td>
                  <td>{formatValue(avail, 'bytes')}</td>
                  <td><Share share={usedShare(numbers)} /></td>
                  <td><Share share={files && typeof filesFree === 'number' ? 1 - filesFree / files : null} /></td>
                </tr>
              );
            })}
            {rows.length === 0 && (
              <tr><td colSpan={7} className="dim">{error ? `Cannot load: ${error.message}` : data ? 'No data: the collector “filesystem” is off or sees none' : '\u00a0'}</td></tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}
