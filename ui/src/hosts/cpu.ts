// Owns the panels on processors, load and pressure.

import type { Section } from './panel';

export const cpu: Section = {
  title: 'Processor',
  panels: [
    {
      id: 'cpu-modes',
      title: 'CPU by mode',
      unit: 'percent',
      kind: 'stack',
      max: 100,
      queries: [
        {
          expr: '100 * sum by (mode) (rate(node_cpu_seconds_total{$host,mode!="idle"}[$window])) / scalar(count(node_cpu_seconds_total{$host,mode="idle"}))',
          legend: '{{mode}}',
        },
      ],
      colors: { user: 0, system: 1, nice: 8, iowait: 3, irq: 7, softirq: 4, steal: 6 },
      needs: { metric: 'node_cpu_seconds_total', collector: 'cpu' },
    },
    {
      id: 'cpu-cores',
      title: 'CPU by core',
      unit: 'percent',
      kind: 'heat',
      max: 100,
      queries: [
        { expr: '100 * (1 - sum by (cpu) (rate(node_cpu_seconds_total{$host,mode="idle"}[$window])))', legend: 'core {{cpu}}' },
      ],
      needs: { metric: 'node_cpu_seconds_total', collector: 'cpu' },
    },
    {
      id: 'load',
      title: 'Load average',
      unit: 'number',
      kind: 'lines',
      queries: [
        { expr: 'node_load1{$host}', legend: '1 min' },
        { expr: 'node_load5{$host}', legend: '5 min' },
        { expr: 'node_load15{$host}', legend: '15 min' },
      ],
      needs: { metric: 'node_load1', collector: 'loadavg' },
    },
    {
      id: 'pressure',
      title: 'Pressure (share of time some task waited)',
      unit: 'percent',
      kind: 'lines',
      queries: [
        { expr: '100 * rate(node_pressure_cpu_waiting_seconds_total{$host}[$window])', legend: 'cpu' },
        { expr: '100 * rate(node_pressure_io_waiting_seconds_total{$host}[$window])', legend: 'io' },
        { expr: '100 * rate(node_pressure_memory_waiting_seconds_total{$host}[$window])', legend: 'memory' },
      ],
      needs: { metric: 'node_pressure_cpu_waiting_seconds_total', collector: 'pressure' },
    },
  ],
};
