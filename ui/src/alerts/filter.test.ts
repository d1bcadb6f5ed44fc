import { describe, expect, it } from 'vitest';
import type { Rule, RuleGroup } from '../api/rules';
import { countStates, parseState, selectRules } from './filter';

function rule(name: string, state: Rule['state'], more: Partial<Rule> = {}): Rule {
  return {
    type: 'alerting', name, query: `${name} > 1`, labels: { severity: 'page' }, health: 'ok', lastError: '', evaluationTime: 0.001,
    lastEvaluation: '2026-03-14T15:00:00Z', state, duration: 0, keepFiringFor: 0, annotations: {}, alerts: [], ...more,
  };
}

function group(name: string, rules: Rule[]): RuleGroup {
  return { name, file: 'r.yml', rules, interval: 60, evaluationTime: 0.002, lastEvaluation: '2026-03-14T15:00:00Z' };
}

const all = [
  group('calm', [rule('A', 'inactive'), rule('job:up:sum', 'inactive', { type: 'recording' })]),
  group('loud', [rule('B', 'firing'), rule('C', 'pending', { health: 'err', lastError: 'many-to-many' })]),
];

describe('rules', () => {
  it('are counted by state', () => {
    expect(countStates(all)).toEqual({ all: 4, firing: 1, pending: 1, inactive: 1, failing: 1, recording: 1 });
  });
  it('are selected by state and words, what fires first', () => {
    const names = (groups: RuleGroup[]) => groups.map((g) => `${g.name}:${g.rules.map((r) => r.name).join(',')}`);
    expect(names(selectRules(all, 'all', ''))).toEqual(['loud:B,C', 'calm:A,job:up:sum']);
    expect(names(selectRules(all, 'failing', ''))).toEqual(['loud:C']);
    expect(names(selectRules(all, 'all', 'MANY severity="page"'))).toEqual(['loud:C']);
    expect(names(selectRules(all, 'recording', 'nothing'))).toEqual([]);
  });
  it('have a state that can be read', () => {
    expect(parseState('firing')).toEqual({ state: 'firing' });
    expect(parseState('ill').problem).toContain('there is no state');
  });
});
