// Owns the page of rules and their alerts: counts, filters, groups.

import { SegmentedControl, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRules } from '../api/rules';
import { useUrl } from '../app/useUrl';
import { Icon } from '../design/Icon';
import { LIVE } from '../time/useAutoRefresh';
import classes from './Alerts.module.css';
import { countStates, parseState, selectRules, STATE_CHOICES } from './filter';
import { GroupTable } from './GroupTable';

export function AlertsPage() {
  const { search, patch } = useUrl();
  const { data, error } = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => getRules(signal), meta: LIVE });
  const text = search.filter ?? '';
  const { state } = parseState(search.health);
  const groups = data?.data.groups ?? [];
  const counts = countStates(groups);
  const shown = selectRules(groups, state, text);
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
      {data && shown.length === 0 && (
        <p className="dim" role="status">
          {groups.length === 0 ? 'There are no rules: name files with rules under rule_files in the configuration.' : 'No rule matches the filter.'}
        </p>
      )}
    </>
  );
}
