// Owns the panels on block devices.

import type { Section } from './panel';

/** Memory-backed and empty devices tell nothing about disks. */
const DISKS = 'device!~"(loop|ram|zram|sr|fd)[0-9]+"';
const needs = { metric: 'node_disk_io_time_seconds_total', collector: 'diskstats' };

/** Time per operation; without operations there is no latency, hence the filter instead of 0/0. */
function latency(time: string, count: string): string {
  return `rate(${time}{$host,${DISKS}}[$window]) / (rate(${count}{$host,${DISKS}}[$window]) > 0)`;
}

export const disk: Section = {
  title: 'Disks',
  panels: [
    {
      id: 'disk-throughput',
      title: 'Throughput (read above, written below)',
      unit: 'bytes/s',
      kind: 'lines',
      queries: [
        { expr: `rate(node_disk_read_bytes_total{$host,${DISKS}}[$window])`, legend: '{{device}} read' },
        { expr: `rate(node_disk_written_bytes_total{$host,${DISKS}}[$window])`, legend: '{{device}} written', mirror: true },
      ],
      needs,
    },
    {
      id: 'disk-iops',
      title: 'Operations (reads above, writes below)',
      unit: 'ops/s',
      kind: 'lines',
      queries: [
        { expr: `rate(node_disk_reads_completed_total{$host,${DISKS}}[$window])`, legend: '{{device}} reads' },
        { expr: `rate(node_disk_writes_completed_total{$host,${DISKS}}[$window])`, legend: '{{device}} writes', mirror: true },
      ],
      needs,
    },
    {
      id: 'disk-utilisation',
      title: 'Utilisation (share of time busy)',
      unit: 'percent',
      kind: 'lines',
      max: 100,
      queries: [{ expr: `100 * rate(node_disk_io_time_seconds_total{$host,${DISKS}}[$window])`, legend: '{{device}}' }],
      needs,
    },
    {
      id: 'disk-latency',
      title: 'Latency per operation',
      unit: 'seconds',
      kind: 'lines',
      queries: [
        { expr: latency('node_disk_read_time_seconds_total', 'node_disk_reads_completed_total'), legend: '{{device}} read' },
        { expr: latency('node_disk_write_time_seconds_total', 'node_disk_writes_completed_total'), legend: '{{device}} write' },
      ],
      needs,
    },
  ],
};
