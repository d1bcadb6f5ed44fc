import { describe, expect, it } from 'vitest';
import { FIGURES, level } from './figures';
import { fill } from './panel';
import { SECTIONS_AFTER_FILESYSTEMS, SECTIONS_BEFORE_FILESYSTEMS } from './system';

const panels = [...SECTIONS_BEFORE_FILESYSTEMS, ...SECTIONS_AFTER_FILESYSTEMS].flatMap((section) => section.panels);

describe('panels', () => {
  it('have one id each', () => {
    expect(new Set(panels.map((p) => p.id)).size).toBe(panels.length);
  });
  it('ask for the chosen host only, and leave no place unfilled', () => {
    const exprs = [...panels.flatMap((p) => p.queries.map((q) => q.expr)), ...FIGURES.flatMap((f) => f.exprs)];
    for (const expr of exprs) {
      const filled = fill(expr, { host: 'h', windowSec: 60 });
      expect(filled).not.toContain('$');
      const selectors = filled.match(/node_\w+\{/g) ?? [];
      expect(filled.match(/\{job="node",instance="h"/g)).toHaveLength(selectors.length);
      expect(filled.match(/\bnode_\w+/g)).toHaveLength(selectors.length);
    }
  });
  it('quote any host name, replacement patterns included', () => {
    expect(fill('x{$host}', { host: 'a"b\\c$&', windowSec: 1 })).toBe('x{job="node",instance="a\\"b\\\\c$&"}');
  });
});

describe('figures', () => {
  it('say nothing where nothing is known', () => {
    for (const figure of FIGURES) {
      const none = figure.exprs.map(() => null);
      expect(figure.text(none)).toMatch(/–/);
    }
  });
  it('change colour only near the end', () => {
    expect([0, 0.84, 0.85, 0.95].map(level)).toEqual(['ok', 'ok', 'warn', 'bad']);
  });
});
