// Owns the panels on network interfaces and sockets.

import type { Section } from './panel';

/** Loopback and the host's ends of containers count the same traffic twice. */
const LINKS = 'device!~"lo|veth.*|docker.*|br-.*|cni.*|cali.*|flannel.*|virbr.*|ifb.*"';
const needs = { metric: 'node_network_receive_bytes_total', collector: 'netdev' };

export const network: Section = {
  title: 'Network',
  panels: [
    {
      id: 'net-throughput',
      title: 'Throughput (received above, sent below)',
      unit: 'bytes/s',
      kind: 'lines',
      queries: [
        { expr: `rate(node_network_receive_bytes_total{$host,${LINKS}}[$window])`, legend: '{{device}} received' },
        { expr: `rate(node_network_transmit_bytes_total{$host,${LINKS}}[$window])`, legend: '{{device}} sent', mirror: true },
      ],
      needs,
    },
    {
      id: 'net-errors',
      title: 'Errors and drops (received above, sent below)',
      unit: 'packets/s',
      kind: 'lines',
      queries: [
        { expr: `rate(node_network_receive_errs_total{$host,${LINKS}}[$window])`, legend: '{{device}} receive errors' },
        { expr: `rate(node_network_receive_drop_total{$host,${LINKS}}[$window])`, legend: '{{device}} receive drops' },
        { expr: `rate(node_network_transmit_errs_total{$host,${LINKS}}[$window])`, legend: '{{device}} send errors', mirror: true },
        { expr: `rate(node_network_transmit_drop_total{$host,${LINKS}}[$window])`, legend: '{{device}} send drops', mirror: true },
      ],
      needs,
    },
    {
      id: 'sockets',
      title: 'Sockets',
      unit: 'number',
      kind: 'lines',
      queries: [
        { expr: 'node_sockstat_TCP_inuse{$host}', legend: 'TCP in use' },
        { expr: 'node_sockstat_TCP_tw{$host}', legend: 'TCP time-wait' },
        { expr: 'node_sockstat_UDP_inuse{$host}', legend: 'UDP in use' },
        { expr: 'node_netstat_Tcp_CurrEstab{$host}', legend: 'TCP established' },
      ],
      needs: { metric: 'node_sockstat_TCP_inuse', collector: 'sockstat' },
    },
    {
      id: 'tcp',
      title: 'TCP trouble',
      unit: 'packets/s',
      kind: 'lines',
      queries: [
        { expr: 'rate(node_netstat_Tcp_RetransSegs{$host}[$window])', legend: 'retransmitted' },
        { expr: 'rate(node_netstat_Tcp_OutRsts{$host}[$window])', legend: 'resets sent' },
        { expr: 'rate(node_netstat_TcpExt_ListenDrops{$host}[$window])', legend: 'listen queue drops' },
      ],
      needs: { metric: 'node_netstat_Tcp_RetransSegs', collector: 'netstat' },
    },
  ],
};
