// Owns the page of targets: counts, filters, pools, and what was dropped.

import { SegmentedControl, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getTargets } from '../api/targets';
import { useUrl } from '../app/useUrl';
import { Icon } from '../design/Icon';
import { LIVE } from '../time/useAutoRefresh';
import { DroppedTargets } from './DroppedTargets';
import { countHealth, groupPools, HEALTH_CHOICES, matchesText, parseHealth } from './filter';
import { PoolTable } from './PoolTable';
import classes from './Targets.module.css';

export function TargetsPage() {
  const { search, patch } = useUrl();
  const { data, error } = useQuery({
    queryKey: ['targets', 'any'],
    queryFn: ({ signal }) => getTargets('any', signal),
    meta: LIVE,
  });
  const text = search.filter ?? '';
  const { health } = parseHealth(search.health);
  const active = data?.data.activeTargets ?? [];
  const dropped = data?.data.droppedTargets ?? [];
  const counts = countHealth(active);
  const shown = active.filter((target) => (health === 'all' || target.health === health) && matchesText(target, text));
  const pools = groupPools(shown);
  const names = { all: active.length, ...counts };
  return (
    <>
      <div className={classes.toolbar}>
        <TextInput
          data-slash
          aria-label="Filter targets"
          placeholder="Address, label or error"
          leftSection={<Icon name="search" size={14} />}
          value={text}
          onChange={(event) => patch({ filter: event.currentTarget.value || undefined }, true)}
          w={280}
        />
        <SegmentedControl
          aria-label="Health"
          value={health}
          onChange={(value) => patch({ health: value === 'all' ? undefined : value }, true)}
          data={HEALTH_CHOICES.map((choice) => ({ value: choice, label: `${choice} ${data ? names[choice] : ''}` }))}
          transitionDuration={0}
        />
      </div>
      {error && <p className={classes.problem} role="alert"><Icon name="warning" />Cannot load the targets: {error.message}</p>}
      {pools.map((pool) => <PoolTable key={pool.name} pool={pool} />)}
      {data && pools.length === 0 && (
        <p className="dim" role="status">{active.length === 0 ? 'Nothing is scraped: the configuration names no target.' : 'No target matches the filter.'}</p>
      )}
      {dropped.length > 0 && <DroppedTargets targets={dropped} />}
    </>
  );
}
