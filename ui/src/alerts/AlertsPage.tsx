// Owns the page of rules and their alerts: counts, filters, groups.

import { Button, SegmentedControl, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { getRules } from '../api/rules';
import { useUrl } from '../app/useUrl';
import { Icon } from '../design/Icon';
import { LIVE } from '../time/useAutoRefresh';
import classes from './Alerts.module.css';
import { countStates, firstRules, parseState, selectRules, STATE_CHOICES } from './filter';
import { GroupTable } from './GroupTable';

/** There can be tens of thousands of rules, in one group or in many; a few screens of rows are laid out at once. */
const ROWS_AT_FIRST = 200;
const ROWS_MORE = 500;

export function AlertsPage() {
  const { search, patch } = useUrl();
  const { data, error } = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => getRules(signal), meta: LIVE });
  const text = search.filter ?? '';
  const { state } = parseState(search.health);
  const [limit, setLimit] = useState(ROWS_AT_FIRST);
  const groups = useMemo(() => data?.data.groups ?? [], [data]);
  const counts = useMemo(() => countStates(groups), [groups]);
  const selected = useMemo(() => selectRules(groups, state, text), [groups, state, text]);
  const { groups: shown, hidden } = useMemo(() => firstRules(selected, limit), [selected, limit]);
  return (
    <>
      <div className={classes.toolbar}>
        <TextInput
          data-slash
          aria-label="Filter rules"
          placeholder="Rule, group, label or error"
          leftSection={<Icon name="search" size={14} />}
          value={text}
          onChange={(event) => patch({ filter: event.currentTarget.value || undefined }, true)}
          w={280}
        />
        <SegmentedControl
          aria-label="State"
          value={state}
          onChange={(value) => patch({ health: value === 'all' ? undefined : value }, true)}
          data={STATE_CHOICES.map((choice) => ({ value: choice, label: `${choice} ${data ? counts[choice] : ''}` }))}
          transitionDuration={0}
        />
      </div>
      {error && <p className={classes.problem} role="alert"><Icon name="warning" />Cannot load the rules: {error.message}</p>}
      {shown.map((group) => <GroupTable key={`${group.file} ${group.name}`} group={group} />)}
      {hidden > 0 && (
        <Button mt={12} onClick={() => setLimit(limit + ROWS_MORE)}>Show {Math.min(ROWS_MORE, hidden)} more of {hidden} rules</Button>
      )}
      {data && shown.length === 0 && (
        <p className="dim" role="status">
          {groups.length === 0 ? 'There are no rules: name files with rules under rule_files in the configuration.' : 'No rule matches the filter.'}
        </p>
      )}
    </>
  );
}
