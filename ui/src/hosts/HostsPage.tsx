// Owns the built-in dashboard of one host: figures, panels in sections, filesystems.

import { useMemo } from 'react';
import { now } from '../time/clock';
import { resolve } from '../time/range';
import { autoStep, rateWindow } from '../time/step';
import { useTimeRange } from '../time/useTimeRange';
import { Filesystems } from './Filesystems';
import { HostHead } from './HostHead';
import classes from './Hosts.module.css';
import { KeyFigures } from './KeyFigures';
import { Panel } from './Panel';
import type { MaybeContext, Section } from './panel';
import { SECTIONS_AFTER_FILESYSTEMS, SECTIONS_BEFORE_FILESYSTEMS } from './system';
import { useHosts } from './useHosts';

/** The usual width of a panel's plot; measuring each one would ask the server again at every resize. */
const PLOT_WIDTH_PX = 540;

function Panels({ sections, context, stepSec }: { sections: readonly Section[]; context: MaybeContext; stepSec: number }) {
  return sections.map((section) => (
    <section key={section.title} aria-label={section.title}>
      <h2 className={classes.sectionTitle}>{section.title}</h2>
      <div className={classes.grid}>
        {section.panels.map((spec) => <Panel key={spec.id} spec={spec} context={context} stepSec={stepSec} />)}
      </div>
    </section>
  ));
}

export function HostsPage() {
  const hosts = useHosts();
  const { range } = useTimeRange();
  const { startMs, endMs } = resolve(range, now());
  const stepSec = autoStep(Math.round((endMs - startMs) / 1_000), PLOT_WIDTH_PX, hosts.scrapeSec);
  const windowSec = rateWindow(stepSec, hosts.scrapeSec);
  const context = useMemo(
    () => (hosts.ready && hosts.host !== undefined ? { host: hosts.host, windowSec } : undefined),
    [hosts.ready, hosts.host, windowSec],
  );
  return (
    <>
      <HostHead hosts={hosts} context={context} />
      {!hosts.error && !hosts.none && (
        <>
          <KeyFigures context={context} />
          <Panels sections={SECTIONS_BEFORE_FILESYSTEMS} context={context} stepSec={stepSec} />
          <Filesystems context={context} />
          <Panels sections={SECTIONS_AFTER_FILESYSTEMS} context={context} stepSec={stepSec} />
        </>
      )}
      {hosts.error && <p className={classes.bad} role="alert">Cannot list the hosts: {hosts.error.message}</p>}
      {hosts.none && !hosts.error && (
        <>
          <p className="dim" role="status">Waiting for the first sample of a host (job="node")…</p>
          <p className="dim">
            If none comes: the configuration turns on the collector for this host
            with <code className="mono">exporters: {'{node: {enabled: true}}'}</code>, or scrapes a node_exporter as the job “node”.
          </p>
        </>
      )}
    </>
  );
}
