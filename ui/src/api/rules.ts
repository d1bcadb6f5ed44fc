// Owns the shapes and call of /api/v1/rules.

import * as c from './check';
import { ask, type Answer } from './client';

const labels = c.record(c.string);
const state = c.oneOf('firing', 'pending', 'inactive', 'unknown');
const health = c.oneOf('ok', 'err', 'unknown');

const alert = c.object({
  labels,
  annotations: labels,
  state,
  activeAt: c.optional(c.string, ''),
  keepFiringSince: c.optional(c.string, ''),
  value: c.string,
});

const rule = c.object({
  type: c.oneOf('alerting', 'recording'),
  name: c.string,
  query: c.string,
  labels: c.optional(labels, {}),
  health,
  lastError: c.optional(c.string, ''),
  evaluationTime: c.optional(c.number, 0),
  lastEvaluation: c.string,
  // What follows only alerting rules have.
  state: c.optional(state, 'inactive'),
  duration: c.optional(c.number, 0),
  keepFiringFor: c.optional(c.number, 0),
  annotations: c.optional(labels, {}),
  alerts: c.optional(c.array(alert), []),
});

const group = c.object({
  name: c.string,
  file: c.string,
  rules: c.array(rule),
  interval: c.number,
  evaluationTime: c.number,
  lastEvaluation: c.string,
});

const rules = c.object({ groups: c.array(group) });

export type Alert = c.Checked<typeof alert>;
export type AlertState = Alert['state'];
export type Rule = c.Checked<typeof rule>;
export type RuleGroup = c.Checked<typeof group>;

export function getRules(signal?: AbortSignal): Promise<Answer<{ groups: RuleGroup[] }>> {
  return ask('/api/v1/rules', {}, rules, signal);
}
