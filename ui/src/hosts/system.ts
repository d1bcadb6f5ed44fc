// Owns the panels on the kernel's own business, and the order of all sections.

import { cpu } from './cpu';
import { disk } from './disk';
import { memory } from './memory';
import { network } from './network';
import type { Section } from './panel';

const system: Section = {
  title: 'System',
  panels: [
    {
      id: 'switches',
      title: 'Context switches and interrupts',
      unit: 'ops/s',
      kind: 'lines',
      queries: [
        { expr: 'rate(node_context_switches_total{$host}[$window])', legend: 'context switches' },
        { expr: 'rate(node_intr_total{$host}[$window])', legend: 'interrupts' },
        { expr: 'rate(node_forks_total{$host}[$window])', legend: 'forks' },
      ],
      needs: { metric: 'node_context_switches_total', collector: 'stat' },
    },
    {
      id: 'processes',
      title: 'Processes',
      unit: 'number',
      kind: 'lines',
      queries: [
        { expr: 'node_procs_running{$host}', legend: 'running' },
        { expr: 'node_procs_blocked{$host}', legend: 'blocked on I/O' },
      ],
      needs: { metric: 'node_procs_running', collector: 'stat' },
    },
    {
      id: 'filefd',
      title: 'File descriptors',
      unit: 'number',
      kind: 'lines',
      queries: [{ expr: 'node_filefd_allocated{$host}', legend: 'allocated' }],
      needs: { metric: 'node_filefd_allocated', collector: 'filefd' },
    },
    {
      id: 'conntrack',
      title: 'Tracked connections',
      unit: 'number',
      kind: 'lines',
      queries: [{ expr: 'node_nf_conntrack_entries{$host}', legend: 'entries' }],
      needs: { metric: 'node_nf_conntrack_entries', collector: 'conntrack' },
    },
  ],
};

export const SECTIONS_BEFORE_FILESYSTEMS: readonly Section[] = [cpu, memory, disk];
export const SECTIONS_AFTER_FILESYSTEMS: readonly Section[] = [network, system];
