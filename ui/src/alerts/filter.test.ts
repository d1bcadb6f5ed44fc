import { describe, expect, it } from 'vitest';
import type { Rule, RuleGroup } from '../api/rules';
import { countStates, firstRules, parseState, selectRules } from './filter';

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
  it('come first if they fire, also while they fail', () => {
    const names = (groups: RuleGroup[]) => groups.map((g) => `${g.name}:${g.rules.map((r) => r.name).join(',')}`);
    const both = group('both', [rule('D', 'firing', { health: 'err' })]);
    expect(names(selectRules([...all, both], 'all', ''))).toEqual(['loud:B,C', 'both:D', 'calm:A,job:up:sum']);
  });
  it('are cut to the most urgent ones, wherever they stand', () => {
    const many = Array.from({ length: 200_000 }, (_, i) => rule(`r${i}`, i === 150_000 ? 'firing' : 'inactive'));
    const groups = selectRules([group('large', many), group('late', [rule('P', 'pending')])], 'all', '');
    const first = firstRules(groups, 3);
    expect(first.groups.map((g) => g.rules.map((r) => r.name))).toEqual([['r0', 'r150000'], ['P']]);
    expect(first.hidden).toBe(199_998);
    expect(firstRules(all, 4)).toEqual({ groups: all, hidden: 0 });
  });
  it('have a state that can be read', () => {
    expect(parseState('firing')).toEqual({ state: 'firing' });
    expect(parseState('ill').problem).toContain('there is no state');
  });
});
