// Owns which rules are shown: by state and by text. Pure, so that it is tested without a browser.

import type { Rule, RuleGroup } from '../api/rules';

export const STATE_CHOICES = ['all', 'firing', 'pending', 'inactive', 'failing', 'recording'] as const;
export type StateChoice = (typeof STATE_CHOICES)[number];

export function parseState(text: string | undefined): { state: StateChoice; problem?: string } {
  if (text === undefined) return { state: 'all' };
  const state = STATE_CHOICES.find((choice) => choice === text);
  if (state) return { state };
  return { state: 'all', problem: `there is no state “${text}”: choose one of ${STATE_CHOICES.join(', ')}` };
}

/** What a rule counts as; one that cannot be evaluated counts as failing too. */
function isOf(rule: Rule, state: StateChoice): boolean {
  if (state === 'all') return true;
  if (state === 'failing') return rule.health === 'err';
  if (state === 'recording') return rule.type === 'recording';
  return rule.type === 'alerting' && rule.state === state;
}

export function countStates(groups: readonly RuleGroup[]): Record<StateChoice, number> {
  const rules = groups.flatMap((group) => group.rules);
  const count = (state: StateChoice) => rules.filter((rule) => isOf(rule, state)).length;
  return Object.fromEntries(STATE_CHOICES.map((state) => [state, count(state)])) as Record<StateChoice, number>;
}

/** Every word has to occur in the group, the rule or one of its alerts. */
function hasWords(group: RuleGroup, rule: Rule, words: string[]): boolean {
  if (words.length === 0) return true;
  const pairs = (labels: Record<string, string>) => Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  const hay = [group.name, group.file, rule.name, rule.query, rule.lastError, ...pairs(rule.labels), ...rule.alerts.flatMap((alert) => pairs(alert.labels))];
  const text = hay.join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

const URGENCY: Record<Rule['state'], number> = { firing: 0, pending: 1, unknown: 2, inactive: 2 };

function urgencyOf(rule: Rule): number {
  return Math.min(rule.health === 'err' ? 1 : 3, URGENCY[rule.state]);
}

// Not Math.min(...): a group may have more rules than a call can have arguments.
function urgency(group: RuleGroup): number {
  return group.rules.reduce((least, rule) => Math.min(least, urgencyOf(rule)), 3);
}

/** Groups with the rules that are meant, without those that have none; what fires comes first. */
export function selectRules(groups: readonly RuleGroup[], state: StateChoice, text: string): RuleGroup[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return groups
    .map((group) => ({ ...group, rules: group.rules.filter((rule) => isOf(rule, state) && hasWords(group, rule, words)) }))
    .filter((group) => group.rules.length > 0)
    .sort((a, b) => urgency(a) - urgency(b));
}

/** At most so many rules, the most urgent ones, in the order they came in; and how many there are beside them. */
export function firstRules(groups: readonly RuleGroup[], limit: number): { groups: RuleGroup[]; hidden: number } {
  const all = groups.flatMap((group) => group.rules);
  if (all.length <= limit) return { groups: [...groups], hidden: 0 };
  // Sorting keeps the order of equals.
  const chosen = new Set([...all].sort((a, b) => urgencyOf(a) - urgencyOf(b)).slice(0, limit));
  return {
    groups: groups
      .map((group) => ({ ...group, rules: group.rules.filter((rule) => chosen.has(rule)) }))
      .filter((group) => group.rules.length > 0),
    hidden: all.length - limit,
  };
}
