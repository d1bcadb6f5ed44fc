// Owns what a panel of the built-in dashboard is. The panels themselves are data: cpu.ts, memory.ts, disk.ts, network.ts, system.ts.

import type { ChartKind } from '../chart/uplotOptions';
import type { Unit } from '../design/units';

export interface PanelQuery {
  /** PromQL with two places: $host for the matchers of the chosen host, $window for the window of rate(). */
  expr: string;
  legend: string;
  mirror?: boolean;
}

export interface PanelSpec {
  id: string;
  title: string;
  unit: Unit;
  kind: ChartKind;
  max?: number;
  queries: PanelQuery[];
  /** Series by legend in their order from the bottom up, each with its place in the palette; others follow. */
  colors?: Record<string, number>;
  /** A metric this panel cannot do without, and the collector that brings it: they explain an empty panel. */
  needs: { metric: string; collector: string };
}

export interface Section {
  title: string;
  panels: PanelSpec[];
}

export interface HostContext {
  host: string;
  windowSec: number;
}

/** Undefined while the list of hosts is under way: everything stands in its place and asks nothing yet. */
export type MaybeContext = HostContext | undefined;

/** A PromQL string literal. */
export function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** The queries filled, or none while there is no host. */
export function fillAll(exprs: readonly string[], context: MaybeContext): string[] {
  return context ? exprs.map((expr) => fill(expr, context)) : [];
}

export function fill(expr: string, { host, windowSec }: HostContext): string {
  return expr.replaceAll('$host', () => `job="node",instance=${quote(host)}`).replaceAll('$window', `${windowSec}s`);
}
