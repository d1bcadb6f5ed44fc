// Owns the panels on memory.

import { NEUTRAL } from '../design/palette';
import type { Section } from './panel';

export const memory: Section = {
  title: 'Memory',
  panels: [
    {
      id: 'memory',
      title: 'Memory',
      unit: 'bytes',
      kind: 'stack',
      queries: [
        {
          expr: 'node_memory_MemTotal_bytes{$host} - node_memory_MemFree_bytes{$host} - node_memory_Buffers_bytes{$host} - node_memory_Cached_bytes{$host} - node_memory_SReclaimable_bytes{$host}',
          legend: 'used',
        },
        { expr: 'node_memory_Buffers_bytes{$host}', legend: 'buffers' },
        { expr: 'node_memory_Cached_bytes{$host} + node_memory_SReclaimable_bytes{$host}', legend: 'cache' },
        { expr: 'node_memory_MemFree_bytes{$host}', legend: 'free' },
        { expr: 'node_memory_SwapTotal_bytes{$host} - node_memory_SwapFree_bytes{$host}', legend: 'swap used' },
      ],
      colors: { used: 0, buffers: 4, cache: 2, free: NEUTRAL, 'swap used': 3 },
      needs: { metric: 'node_memory_MemTotal_bytes', collector: 'meminfo' },
    },
    {
      id: 'paging',
      title: 'Paging (in above, out below)',
      unit: 'ops/s',
      kind: 'lines',
      queries: [
        { expr: 'rate(node_vmstat_pswpin{$host}[$window])', legend: 'swap in' },
        { expr: 'rate(node_vmstat_pswpout{$host}[$window])', legend: 'swap out', mirror: true },
        { expr: 'rate(node_vmstat_pgmajfault{$host}[$window])', legend: 'major faults' },
      ],
      needs: { metric: 'node_vmstat_pgmajfault', collector: 'vmstat' },
    },
  ],
};
